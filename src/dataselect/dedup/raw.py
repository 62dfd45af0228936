"""Raw files → one table of every row read: parsed, or with the reason why it cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.compute.prefetch import batched, prefetch
from dataselect.data import tables
from dataselect.data.schemas import TOOL_USE
from dataselect.data.tables import Message
from dataselect.data.tool_use import to_column
from dataselect.dedup.columns import note_lacking, read_pool_rows, rename
from dataselect.dedup.conversations import duplicate_key, parse_messages, reason_to_drop
from dataselect.dedup.fields import BadRow, NoMessages, name_field
from dataselect.dedup.filter import FILTERED, RowFilter
from dataselect.dedup.kept_columns import ColumnSearch, named_columns, pack
from dataselect.dedup.read import RawRow
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.sources import SourceNames
from dataselect.dedup.unusable import UnusableRows
from dataselect.errors import InputError
from dataselect.report import Progress

#: Conversations → of each, whether `max_tokens` leaves nothing of its first response; or, as text,
#: why the model cannot read it at all.
Truncation = Callable[[list[list[Message]]], list[bool | str]]

#: Rows that are written together: some tens of MB.
ROWS_PER_BLOCK = 8_192

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


def write_raw(
    paths: list[str], raw: Path, rules: PoolRules, truncation: Truncation, progress: Progress
) -> None:
    """Writes every row of the files in `RAW_SCHEMA`, in order, in memory that does not grow.

    Args:
        paths: the raw files.
        raw: the file that is written.
        rules: how rows are read, and which are left out.
        progress: called after every block of rows read.

    Raises:
        InputError: a bad row, unless they are dropped; too many unusable rows; an entry of
            `sources` or `columns` that stands for nothing in the files; a condition that cannot be
            computed for a row, or a column of `where` or `keep` that no row has.
    """
    import pyarrow.parquet as pq

    oldest = pl.CompatLevel.oldest()
    sources, unusable = SourceNames(rules.sources), UnusableRows()
    meets_condition = RowFilter(rules.where)
    search = ColumnSearch(named_columns(rules))
    extra = tuple(search.missing)

    def blocks() -> Iterator[Any]:
        for block in batched(read_pool_rows(paths, rules.columns, extra), ROWS_PER_BLOCK):
            search.look(block)
            rows = [
                parse_row(row, rules, sources) if wanted else _filtered_row(row, rules, sources)
                for row, wanted in zip(block, meets_condition(block), strict=True)
            ]
            _mark_truncated(rows, truncation)
            for raw_row, row in zip(block, rows, strict=True):
                if row.reason not in NOT_WANTED:
                    unusable.count(raw_row, row.reason, row.detail)
            columns = {name: [getattr(row, name) for row in rows] for name in RAW_SCHEMA}
            yield pl.DataFrame(columns, schema=RAW_SCHEMA).to_arrow(compat_level=oldest)

    schema = pl.DataFrame(schema=RAW_SCHEMA).to_arrow(compat_level=oldest).schema
    with pq.ParquetWriter(raw, schema, compression="lz4") as writer:
        # A thread reads the next rows while these are packed and written.
        for table in prefetch(blocks()):
            writer.write_table(table)
            progress(table.num_rows)
    sources.check()
    unusable.check(rules.most_dropped)
    search.check()


def parse_row(raw: RawRow, rules: PoolRules, sources: SourceNames) -> PoolRow:
    """A row of a file as a row of `RAW_SCHEMA`.

    Raises:
        InputError: a bad row, unless they are dropped.
    """
    name, source, place = None, raw.stem, raw.place
    record = {} if isinstance(raw.record, BadRow) else rename(raw.record, rules.columns)
    try:
        name = name_field(record, "id")
        source = name_field(record, "source", "dataset") or source
        if name and rules.id == "prefix":
            name = f"{source}/{name}"
        renamed = sources.rename(source)
        if renamed is None:  # a row that is not wanted need not be right
            return PoolRow(name or place, source, None, None, place, SOURCE_LEFT_OUT)
        source = renamed
        if isinstance(raw.record, BadRow):
            raise raw.record
        turns, extra = parse_messages(record), pack(raw.record, rules.keep)
    except BadRow as error:
        reason = f"{error}{note_lacking(raw.record, rules.columns)}"
        if rules.on_bad_row == "error":
            named = ", name its columns in `pool.columns`" if isinstance(error, NoMessages) else ""
            raise InputError(
                f"{place}: {reason}. Fix the row{named}, or set `pool.on_bad_row: drop` in "
                "params.yaml to leave such rows out."
            ) from None
        return PoolRow(name or place, source, None, None, place, "bad row", reason)
    key = duplicate_key(turns)
    if rules.id == "content" or not name:
        name = key[:20]
    return PoolRow(name, source, turns, key, place, reason_to_drop(turns), extra=extra)


def _filtered_row(raw: RawRow, rules: PoolRules, sources: SourceNames) -> PoolRow:
    """A row that `pool.where` leaves out: whatever else is wrong with it does not matter."""
    assert not isinstance(raw.record, BadRow)
    record, name, source = rename(raw.record, rules.columns), None, raw.stem
    try:
        name = name_field(record, "id")
        source = name_field(record, "source", "dataset") or source
    except BadRow:
        pass
    renamed = sources.rename(source) or source
    return PoolRow(name or raw.place, renamed, None, None, raw.place, FILTERED)


def _mark_truncated(rows: list[PoolRow], truncation: Truncation) -> None:
    """Sets the reason of rows of whose response the model would see nothing."""
    kept = [row for row in rows if row.reason is None]
    truncated = truncation([row.messages or [] for row in kept])
    for row, reason in zip(kept, truncated, strict=True):
        if reason:
            row.reason = (
                reason if isinstance(reason, str) else "response entirely cut off by max_tokens"
            )
