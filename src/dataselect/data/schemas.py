"""Every table's schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

#: A turn of a conversation: role (system, developer, user, assistant, tool) and content; the turns
#: of a `ToolConversation` may have more.
Message = dict[str, Any]

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))

#: What `messages` does not hold of rows with tools: see `data.tool_use`.
TOOL_USE = {"tool_use": pl.String}

#: What a test is about, with others: their scores vary together; see `compare`.
CLUSTER = {"cluster": pl.String}

#: How a query or a test is encoded: see `data.examples`.
ENCODING = {"prefill": pl.String, "format": pl.String, "max_tokens": pl.Int64}


@dataclass(frozen=True)
class Table:
    """The schema of a table, and how it is stored.

    Attributes:
        columns: name → type; `pl.Array` without a size is an array of any size.
        nullable: the columns that may hold nulls.
        optional: columns that need not be there, and may hold nulls: name → type.
        counter: a column that counts 0, 1, 2 … in the order of the rows.
        storage: options of the parquet file that differ from the other tables'.
    """

    columns: dict[str, Any]
    nullable: tuple[str, ...] = ()
    optional: dict[str, Any] = field(default_factory=dict)
    counter: str | None = None
    storage: dict[str, Any] = field(default_factory=dict)


TABLES = {
    "pool": Table(
        {"row": pl.Int64, "id": pl.String, "source": pl.String, "messages": MESSAGES},
        optional=TOOL_USE,
        counter="row",
    ),
    "dropped": Table(
        {
            "id": pl.String,
            "source": pl.String,
            "reason": pl.String,
            "detail": pl.String,
            "place": pl.String,
        },
        nullable=("detail", "place"),
    ),
    # Pairs of a row and a test. A row that was left out for its overlap has no number.
    "contamination": Table(
        {
            "row": pl.Int64,
            "id": pl.String,
            "source": pl.String,
            "task": pl.String,
            "test": pl.String,
            "share": pl.Float64,
            "text": pl.String,
            "question_found": pl.Boolean,
            "answer_found": pl.Boolean,
        },
        nullable=("row",),
    ),
    "selected_contamination": Table(
        {
            "row": pl.Int64,
            "id": pl.String,
            "task": pl.String,
            "test": pl.String,
        },
    ),
    "queries": Table(
        {
            "task": pl.String,
            "id": pl.String,
            "messages": MESSAGES,
            "subtask": pl.String,
            **ENCODING,
        },
        nullable=("subtask", *ENCODING),
        optional=TOOL_USE,
    ),
    "tests": Table(
        {
            "task": pl.String,
            "id": pl.String,
            "messages": MESSAGES,
            "answer": pl.String,
            "choices": pl.List(pl.String),
            "kind": pl.String,
            "answers": pl.List(pl.String),
            **ENCODING,
            "check": pl.String,
            "subtask": pl.String,
        },
        nullable=("choices", "kind", "answers", *ENCODING, "check", "subtask"),
        optional=CLUSTER,
    ),
    # One 32-bit float per group. Where every row is in a single group, `group` names it, and the
    # array has one number. Scores hardly shrink and never repeat: light compression reads faster.
    "scores": Table(
        {"row": pl.Int64, "id": pl.String, "group": pl.Int64, "score": pl.Array},
        nullable=("group",),
        counter="row",
        storage={"compression": "lz4", "use_dictionary": ["id", "group"]},
    ),
    "groups": Table(
        {"group": pl.Int64, "name": pl.String, "task": pl.String, "parent": pl.String},
        nullable=("task", "parent"),
        counter="group",
    ),
    "selection": Table(
        {
            "rank": pl.Int64,
            "row": pl.Int64,
            "id": pl.String,
            "source": pl.String,
            "group": pl.Int64,
            "task": pl.String,
            "score": pl.Float32,
        },
        nullable=("task",),
        counter="rank",
    ),
    "evaluation": Table(
        {
            "task": pl.String,
            "id": pl.String,
            "metric": pl.String,
            "value": pl.Float64,
            "answer_nll_nats": pl.Float64,
            "output": pl.String,
            "truncated": pl.Boolean,
            "other_metrics": pl.List(pl.Struct({"metric": pl.String, "value": pl.Float64})),
            "subtask": pl.String,
        },
        nullable=("value", "answer_nll_nats", "output", "other_metrics", "subtask"),
        optional=CLUSTER,
    ),
}
