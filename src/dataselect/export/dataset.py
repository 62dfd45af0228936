"""The chosen rows as Parquet files of a Hugging Face data set."""

from __future__ import annotations

import json
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.data import tables
from dataselect.data.examples import conversations
from dataselect.data.schemas import MESSAGES, TOOL_USE, Message
from dataselect.data.tool_use import ToolConversation

#: The bytes of a file, in memory: what the hub's own tools split at.
FILE_BYTES = 500_000_000

#: A turn where rows have tools. Calls are JSON: their arguments have no columns in common.
TOOL_MESSAGES = pl.List(
    pl.Struct(dict.fromkeys(("role", "content", "tool_calls", "tool_call_id", "name"), pl.String))
)


def columns(rows: pl.DataFrame) -> list[str]:
    """The names of the data set's columns.

    Args:
        rows: as of `FinishedRun`.
    """
    tools = ["tools"] if rows.schema["messages"] == TOOL_MESSAGES else []
    first = ["rank", "id", "source", "messages", *tools, "task", "group_name", "score"]
    ours = {*first, *TOOL_USE, *tables.schema("pool"), *tables.schema("selection")}
    return [*first, *(name for name in rows.columns if name not in ours)]


def with_tools(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with tools, calls and results as columns, where a row has some; else as they are.

    Args:
        rows: as of `FinishedRun`.
    """
    if "tool_use" not in rows.columns or not rows["tool_use"].count():
        return rows.with_columns(pl.col("messages").cast(MESSAGES))
    found = conversations(rows)
    tools = [_tools(row) for row in found]
    turns = [[_turn(turn) for turn in row] for row in found]
    return rows.with_columns(
        messages=pl.Series(turns, dtype=TOOL_MESSAGES), tools=pl.Series(tools, dtype=pl.String)
    )


def _tools(row: list[Message]) -> str | None:
    tools = row.tools if isinstance(row, ToolConversation) else None
    return json.dumps(tools, ensure_ascii=False) if tools else None


def _turn(turn: Message) -> dict[str, Any]:
    calls = turn.get("tool_calls")
    return {**turn, "tool_calls": json.dumps(calls, ensure_ascii=False) if calls else None}


def write_dataset(rows: pl.DataFrame, folder: Path, file_bytes: int = FILE_BYTES) -> list[str]:
    """Writes the rows to `data/train-00000-of-0000N.parquet`, and returns the files' names.

    Args:
        rows: as `with_tools` returns them.
        folder: of the data set.
        file_bytes: about how many bytes of rows, in memory, lie in a file.
    """
    import pyarrow.parquet as pq

    chosen = rows.select(columns(rows))
    count = min(rows.height, max(1, ceil(chosen.estimated_size() / file_bytes)))
    (folder / "data").mkdir()
    names = []
    for number in range(count):
        first, end = (rows.height * part // count for part in (number, number + 1))
        name = f"data/train-{number:05d}-of-{count:05d}.parquet"
        table = chosen[first:end].to_arrow(compat_level=pl.CompatLevel.oldest())
        pq.write_table(table, folder / name, compression="zstd")
        names.append(name)
    return names
