"""A table's rows as conversations: with tools; with a prefill, raw text, a limit of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from dataselect.data.tables import Message
from dataselect.data.tool_use import from_columns

if TYPE_CHECKING:
    import polars as pl

#: `chat` puts the prompt into the model's chat format; `raw` takes the contents as they are.
Format = Literal["chat", "raw"]

#: The columns of the queries and tests that say how a row is encoded.
COLUMNS = ("prefill", "format", "max_tokens")


class Example(list[Message]):
    """A conversation whose prompt and answer, its last assistant turn, are tokenised apart.

    Attributes:
        prefill: what the assistant's last turn begins with, before the answer: a part of the
            prompt, neither trained nor graded.
        format: None is `chat`.
        max_tokens: a prompt or an answer longer than this loses its end; None: no limit.
    """

    def __init__(
        self,
        messages: Iterable[Message] = (),
        *,
        prefill: str | None = None,
        format: Format | None = None,  # noqa: A002
        max_tokens: int | None = None,
    ) -> None:
        super().__init__(messages)
        self.prefill, self.format, self.max_tokens = prefill, format, max_tokens


def conversations(frame: pl.DataFrame) -> list[list[Message]]:
    """The conversations of a table; a `ToolConversation` where `tool_use` is filled."""
    rows = frame["messages"].to_list()
    if "tool_use" not in frame.columns:
        return rows
    return [
        row if tool_use is None else from_columns(row, tool_use)
        for row, tool_use in zip(rows, frame["tool_use"], strict=True)
    ]


def examples(frame: pl.DataFrame) -> list[list[Message]]:
    """The conversations of a table; an `Example` where one of `COLUMNS` is filled."""
    rows = conversations(frame)
    settings = frame.select(column for column in COLUMNS if column in frame.columns)
    if not settings.columns:
        return rows
    return [
        row if all(value is None for value in given.values()) else Example(row, **given)
        for row, given in zip(rows, settings.iter_rows(named=True), strict=True)
    ]


def own_limit(row: list[Message]) -> int | None:
    """The `max_tokens` of a row's own; None where it has none."""
    return row.max_tokens if isinstance(row, Example) else None


def content_columns(side: str, frame: pl.DataFrame) -> list[str]:
    """The columns that decide how a table's rows are encoded: `messages`, and those filled.

    Args:
        side: `pool` or `queries`.
    """
    own = (*(COLUMNS if side == "queries" else ()), "tool_use")
    filled = [name for name in own if name in frame.columns and frame[name].count()]
    return ["messages", *filled]
