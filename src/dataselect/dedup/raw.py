"""Raw files → one table of every row read: parsed, or with the reason why it cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.compute.prefetch import batched, prefetch
from dataselect.data import tables
from dataselect.data.tables import Message
from dataselect.dedup.conversations import (
    BadRow,
    duplicate_key,
    parse_messages,
    reason_to_drop,
    text_field,
)
from dataselect.dedup.filter import FILTERED, RowFilter
from dataselect.dedup.kept_columns import ColumnSearch, named_columns, pack
from dataselect.dedup.read import RawRow, read_rows
from dataselect.dedup.settings import PoolRules
from dataselect.errors import InputError
from dataselect.report import Progress

#: Conversations → of each, whether `max_tokens` leaves nothing of its first response; or, as text,
#: why the model cannot read it at all.
Truncation = Callable[[list[list[Message]]], list[bool | str]]

#: Rows that are written together: some tens of MB.
ROWS_PER_BLOCK = 8_192

#: The pool before its duplicates are removed: every row read, kept or (with a reason) not.
RAW_SCHEMA = {
    "id": pl.String,
    "source": pl.String,
    "messages": tables.MESSAGES,
    "key": pl.String,
    "place": pl.String,
    "reason": pl.String,
    "detail": pl.String,
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
        InputError: a bad row, unless they are dropped; a condition that cannot be computed for a
            row, or a column that no row has.
    """
    import pyarrow.parquet as pq

    oldest = pl.CompatLevel.oldest()
    meets_condition = RowFilter(rules.where)
    search = ColumnSearch(named_columns(rules))
    extra = tuple(search.missing)

    def blocks() -> Iterator[Any]:
        for block in batched(read_rows(paths, extra), ROWS_PER_BLOCK):
            search.look(block)
            rows = [
                _parse_row(row, rules) if wanted else _filtered_row(row)
                for row, wanted in zip(block, meets_condition(block), strict=True)
            ]
            _mark_truncated(rows, truncation)
            columns = {name: [getattr(row, name) for row in rows] for name in RAW_SCHEMA}
            yield pl.DataFrame(columns, schema=RAW_SCHEMA).to_arrow(compat_level=oldest)

    schema = pl.DataFrame(schema=RAW_SCHEMA).to_arrow(compat_level=oldest).schema
    with pq.ParquetWriter(raw, schema, compression="lz4") as writer:
        # A thread reads the next rows while these are packed and written.
        for table in prefetch(blocks()):
            writer.write_table(table)
            progress(table.num_rows)
    search.check()


def _parse_row(raw: RawRow, rules: PoolRules) -> PoolRow:
    name, source = None, raw.stem
    try:
        if isinstance(raw.record, BadRow):
            raise raw.record
        name = text_field(raw.record, "id")
        source = text_field(raw.record, "source", "dataset") or source
        turns = parse_messages(raw.record)
        extra = pack(raw.record, rules.keep)
    except BadRow as error:
        if rules.on_bad_row == "error":
            raise InputError(
                f"{raw.place}: {error}. Fix the row, or set `pool.on_bad_row: drop` in "
                "params.yaml to leave such rows out."
            ) from None
        return PoolRow(name or raw.place, source, None, None, raw.place, "bad row", str(error))
    key, reason = duplicate_key(turns), reason_to_drop(turns)
    return PoolRow(name or key[:20], source, turns, key, raw.place, reason, extra=extra)


def _filtered_row(raw: RawRow) -> PoolRow:
    """A row that `pool.where` leaves out: whatever else is wrong with it does not matter."""
    assert not isinstance(raw.record, BadRow)
    try:
        name = text_field(raw.record, "id")
        source = text_field(raw.record, "source", "dataset")
    except BadRow:
        name, source = None, None
    return PoolRow(name or raw.place, source or raw.stem, None, None, raw.place, FILTERED)


def _mark_truncated(rows: list[PoolRow], truncation: Truncation) -> None:
    """Sets the reason of rows of whose response the model would see nothing."""
    kept = [row for row in rows if row.reason is None]
    truncated = truncation([row.messages or [] for row in kept])
    for row, reason in zip(kept, truncated, strict=True):
        if reason:
            row.reason = (
                reason if isinstance(reason, str) else "response entirely cut off by max_tokens"
            )
