"""Raw files → one table of every row read: parsed, or with the reason why it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dataselect.compute.prefetch import prefetch
from dataselect.dedup.columnar import ColumnParser, merge
from dataselect.dedup.columns import read_pool_parts
from dataselect.dedup.filter import RowFilter
from dataselect.dedup.kept_columns import ColumnSearch, named_columns
from dataselect.dedup.parts import Part, blocks_of_parts
from dataselect.dedup.pool_rows import (
    NOT_WANTED,
    RAW_SCHEMA,
    PoolRow,
    left_out,
    name_rows,
    parse_row,
    raw_schema,
    raw_table,
)
from dataselect.dedup.read import RawRow
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.sources import SourceNames
from dataselect.dedup.truncation import CUT_OFF, Truncation
from dataselect.dedup.unusable import UnusableRows
from dataselect.errors import InputError
from dataselect.report import Progress

#: Rows that are written together: some tens of MB.
ROWS_PER_BLOCK = 8_192


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

    parser = BlockParser(rules, truncation)
    search = ColumnSearch(named_columns(rules))
    parts = read_pool_parts(paths, rules.columns, tuple(search.missing))

    def tables() -> Iterator[Any]:
        # One thread reads the next rows, another makes a table of these, this one writes.
        for block in prefetch(blocks_of_parts(parts, ROWS_PER_BLOCK)):
            for part in block:
                search.look(part)
            yield parser(block)

    with pq.ParquetWriter(raw, raw_schema(), compression="lz4") as writer:
        for table in prefetch(tables()):
            writer.write_table(table)
            progress(table.num_rows)
    parser.check()
    search.check()


class BlockParser:
    """Makes rows of `RAW_SCHEMA` of rows of files.

    Columns are read whole where a file allows; rows with tools, of other forms, or with a fault
    are read one by one. Both ways have the same results.

    Args:
        rules: how rows are read, and which are left out.
    """

    def __init__(self, rules: PoolRules, truncation: Truncation) -> None:
        self._rules, self._truncation = rules, truncation
        self._sources, self._unusable = SourceNames(rules.sources), UnusableRows()
        self._meets_condition = RowFilter(rules.where)
        self._parse_columns = ColumnParser(rules, self._sources, self._meets_condition, truncation)

    def __call__(self, parts: list[Part]) -> Any:
        """The rows of a block in their order: an Arrow table of `RAW_SCHEMA`.

        Raises:
            InputError: a bad row, unless they are dropped; a condition that cannot be computed.
        """
        import pyarrow as pa

        try:
            block = pa.concat_tables([self._parse(part) for part in parts])
        except InputError:
            # Of several mistakes in a block, the one that is found row by row is named.
            block = self._parse_rows([raw for part in parts for raw in part.rows()])
        self._count_unusable(parts, block)
        return block

    def check(self) -> None:
        """Raises: InputError: an entry of `sources` stands for none; too many unusable rows."""
        self._sources.check()
        self._unusable.check(self._rules.most_dropped)

    def _parse(self, part: Part) -> Any:
        parsed = self._parse_columns(part)
        if parsed is None:
            return self._parse_rows(part.rows())
        others = np.flatnonzero(~parsed.plain).tolist()
        rows = self._parse_rows(part.rows(others)) if others else raw_schema().empty_table()
        return merge(parsed.plain, parsed.rows, rows)

    def _parse_rows(self, block: list[RawRow]) -> Any:
        named = name_rows(block, self._rules, self._sources, self._meets_condition)
        rows = [left_out(row) if row.reason else parse_row(row, self._rules) for row in named]
        _mark_truncated(rows, self._truncation)
        columns = {name: [getattr(row, name) for row in rows] for name in RAW_SCHEMA}
        return raw_table(pl.DataFrame(columns, schema=RAW_SCHEMA))

    def _count_unusable(self, parts: list[Part], block: Any) -> None:
        reasons = pl.DataFrame(pl.from_arrow(block.select(["reason", "detail"])))
        reasons = reasons.with_row_index("place")
        wanted = reasons.filter(~pl.col("reason").is_in(NOT_WANTED).fill_null(False))
        faulty = wanted.filter(pl.col("reason").is_not_null())
        self._unusable.count_usable(wanted.height - faulty.height)
        for place, reason, detail in faulty.iter_rows():
            self._unusable.count(lambda place=place: _row(parts, place), reason, detail)


def _row(parts: list[Part], place: int) -> RawRow:
    """The row at a place of a block."""
    for part in parts:
        if place < len(part):
            return part.slice(place, place + 1).rows()[0]
        place -= len(part)
    raise IndexError(place)


def _mark_truncated(rows: list[PoolRow], truncation: Truncation) -> None:
    """Sets the reason of rows of whose response the model would see nothing."""
    kept = [row for row in rows if row.reason is None]
    truncated = truncation([row.messages or [] for row in kept])
    for row, reason in zip(kept, truncated, strict=True):
        if reason:
            row.reason = reason if isinstance(reason, str) else CUT_OFF
