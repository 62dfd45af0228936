"""Rows of files, one by one → rows of the raw pool: named, parsed, or with the reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from dataselect.data import tables
from dataselect.data.schemas import TOOL_USE
from dataselect.data.tables import Message
from dataselect.data.tool_use import to_column
from dataselect.dedup.columns import note_lacking, rename
from dataselect.dedup.conversations import duplicate_key, parse_messages, reason_to_drop
from dataselect.dedup.fields import BadRow, NoMessages, name_field
from dataselect.dedup.filter import FILTERED, RowFilter
from dataselect.dedup.kept_columns import pack
from dataselect.dedup.read import RawRow
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.sources import SourceNames
from dataselect.errors import InputError

#: Why a row is not in the pool where the user left out its source: no fault of the row.
SOURCE_LEFT_OUT = "source left out"

#: Reasons that are no fault of a row.
NOT_WANTED = (SOURCE_LEFT_OUT, FILTERED)

#: The pool before its duplicates are removed: every row read, kept or (with a reason) not.
RAW_SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "messages": tables.MESSAGES,
    "key": pl.String,
    "place": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    **TOOL_USE,
    "extra": pl.String,
}


def raw_schema() -> Any:
    """`RAW_SCHEMA` as Arrow's schema."""
    return pl.DataFrame(schema=RAW_SCHEMA).to_arrow(compat_level=pl.CompatLevel.oldest()).schema


def raw_table(rows: pl.DataFrame, messages: Any = None) -> Any:
    """Rows as an Arrow table of `RAW_SCHEMA`.

    Args:
        rows: columns that the table does not have are left out; those that are missing are null.
        messages: this column as an Arrow array, where the rows do not have it.
    """
    columns = [
        pl.col(name) if name in rows.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in RAW_SCHEMA.items()
    ]
    table = rows.select(columns).to_arrow(compat_level=pl.CompatLevel.oldest())
    if messages is None:
        return table
    return table.set_column(table.schema.get_field_index("messages"), "messages", messages)


@dataclass
class NamedRow:
    """A row of a file with its names.

    Attributes:
        raw: the row.
        record: its columns, with our names beside the file's.
        id: as `pool.id` makes it of the row's own; None where it has none.
        source: as `pool.sources` names it.
        reason: why the row is not wanted; None where it is.
        error: what is wrong with it so far.
    """

    raw: RawRow
    record: dict[str, Any]
    id: str | None
    source: str
    reason: str | None
    error: BadRow | None


@dataclass
class PoolRow:
    """A row of `RAW_SCHEMA`."""

    id: str
    source: str
    messages: list[Message] | None
    key: str | None
    place: str
    reason: str | None
    detail: str | None = None
    extra: str | None = None

    @property
    def tool_use(self) -> str | None:
        """The column `tool_use`."""
        return to_column(self.messages or [])


def name_rows(
    block: list[RawRow], rules: PoolRules, sources: SourceNames, meets_condition: RowFilter
) -> list[NamedRow]:
    """Rows of files with their ids and sources, and the reasons of those that are not wanted.

    Raises:
        InputError: the condition cannot be computed for a row whose source is wanted.
    """
    named = [_named_row(raw, rules, sources) for raw in block]
    wanted = [row for row in named if row.reason is None]
    # A row that is not wanted need not be right: neither for the condition nor for the parser.
    for row, meets in zip(wanted, meets_condition([row.raw for row in wanted]), strict=True):
        row.reason = None if meets else FILTERED
    return named


def _named_row(raw: RawRow, rules: PoolRules, sources: SourceNames) -> NamedRow:
    name, source, error = None, raw.stem, None
    if isinstance(raw.record, BadRow):
        record, error = {}, raw.record
    else:
        record = rename(raw.record, rules.columns)
    try:
        name = name_field(record, "id")
        source = name_field(record, "source", "dataset") or source
    except BadRow as wrong:
        error = wrong
    if name and rules.id == "prefix":
        name = f"{source}/{name}"
    renamed = sources.rename(source)
    reason = SOURCE_LEFT_OUT if renamed is None else None
    return NamedRow(raw, record, name, renamed or source, reason, error)


def parse_row(row: NamedRow, rules: PoolRules) -> PoolRow:
    """A wanted row of a file as a row of `RAW_SCHEMA`.

    Raises:
        InputError: a bad row, unless they are dropped.
    """
    raw, place = row.raw, row.raw.place
    try:
        if row.error is not None:
            raise row.error
        assert not isinstance(raw.record, BadRow)
        turns, extra = parse_messages(row.record), pack(raw.record, rules.keep)
    except BadRow as error:
        reason = f"{error}{note_lacking(raw.record, rules.columns)}"
        if rules.on_bad_row == "error":
            named = ", name its columns in `pool.columns`" if isinstance(error, NoMessages) else ""
            raise InputError(
                f"{place}: {reason}. Fix the row{named}, or set `pool.on_bad_row: drop` in "
                "params.yaml to leave such rows out."
            ) from None
        return PoolRow(row.id or place, row.source, None, None, place, "bad row", reason)
    key = duplicate_key(turns)
    name = key[:20] if rules.id == "content" or not row.id else row.id
    return PoolRow(name, row.source, turns, key, place, reason_to_drop(turns), extra=extra)


def left_out(row: NamedRow) -> PoolRow:
    """A row of a file that is not wanted as a row of `RAW_SCHEMA`."""
    place = row.raw.place
    return PoolRow(row.id or place, row.source, None, None, place, row.reason)
