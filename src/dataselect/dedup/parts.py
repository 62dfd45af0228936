"""Some consecutive rows of a file of the pool: as records, and as columns where the file allows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from dataselect.compute.prefetch import batched
from dataselect.dedup.fields import BadRow
from dataselect.dedup.json_columns import SKIPPED, find_regular, read_columns
from dataselect.dedup.read import (
    COLUMNS,
    ROWS_PER_BATCH,
    RawRow,
    batch_to_records,
    input_errors,
    is_json_lines,
    is_parquet,
    is_readable,
    line_to_record,
    read_batches,
    read_lines,
    read_rows,
    stem_of,
)

#: Bytes of JSON from which on a part takes no further line.
MOST_BYTES = 64_000_000


@dataclass(frozen=True)
class Columns:
    """Columns of some rows (b), with the values that the rows' records have.

    Attributes:
        arrays: our name of a column → an Arrow array (b); without those that the rows lack.
        regular: whether a row's values are in `arrays`; False: only its record has them (bool, b).
        places: the file, and the row's number or line in it (b).
        stem: the file's name up to its first dot.
        values: names of the file's columns → every row's values of these columns (b).
    """

    arrays: dict[str, Any]
    regular: np.ndarray
    places: pl.Series
    stem: str
    values: Callable[[Collection[str]], list[dict[str, Any]]]


@dataclass(frozen=True)
class RecordPart:
    """Rows that are read one by one."""

    records: list[RawRow]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.records)

    def slice(self, first: int, end: int) -> RecordPart:
        """The rows from `first` up to `end`."""
        return RecordPart(self.records[first:end])

    def rows(self, places: Sequence[int] | None = None) -> list[RawRow]:
        """The rows as they are read one by one: those at these places; None: all."""
        return self.records if places is None else [self.records[place] for place in places]

    def names(self) -> Iterator[Collection[str]]:
        """The names of each row's columns; only once where all rows have the same."""
        return _names(self.records)

    def columns(self, names: Mapping[str, str]) -> Columns | None:
        """The rows' columns; None where only records have their values.

        Args:
            names: our name of a column → the file's.
        """
        return None


@dataclass(frozen=True)
class ParquetPart:
    """Rows of a parquet file; the methods are those of `RecordPart`.

    Attributes:
        file: its name.
        first: the number of the first row in the file, from 1.
        header: the names of all columns of the file.
        batch: Arrow's record batch of the columns that are read.
    """

    file: str
    first: int
    header: list[str]
    batch: Any

    def __len__(self) -> int:
        return self.batch.num_rows

    def slice(self, first: int, end: int) -> ParquetPart:
        batch = self.batch.slice(first, end - first)
        return ParquetPart(self.file, self.first + first, self.header, batch)

    def rows(self, places: Sequence[int] | None = None) -> list[RawRow]:
        import pyarrow as pa

        taken = range(len(self)) if places is None else places
        batch = self.batch if places is None else self.batch.take(pa.array(places, pa.int64()))
        records = batch_to_records(self.header, batch)
        return [
            RawRow(f"{self.file}:{self.first + place}", stem_of(self.file), record)
            for place, record in zip(taken, records, strict=True)
        ]

    def names(self) -> Iterator[Collection[str]]:
        return iter([self.header]) if is_readable(self.batch) else _names(self.rows())

    def columns(self, names: Mapping[str, str]) -> Columns | None:
        if not is_readable(self.batch) or len(set(self.header)) < len(self.header):
            return None
        read = set(self.batch.schema.names)
        numbers = pl.int_range(self.first, self.first + len(self), eager=True)
        return Columns(
            {ours: self.batch.column(theirs) for ours, theirs in names.items() if theirs in read},
            np.ones(len(self), dtype=bool),
            _places(self.file, numbers),
            stem_of(self.file),
            lambda wanted: self.batch.select([name for name in wanted if name in read]).to_pylist(),
        )


@dataclass(frozen=True)
class LinesPart:
    """Lines of JSON; the methods are those of `RecordPart`.

    Attributes:
        file: the file's name.
        lines: each with its number in the file, from 1.
    """

    file: str
    lines: list[tuple[int, bytes]]

    def __len__(self) -> int:
        return len(self.lines)

    def slice(self, first: int, end: int) -> LinesPart:
        return LinesPart(self.file, self.lines[first:end])

    def rows(self, places: Sequence[int] | None = None) -> list[RawRow]:
        lines = self.lines if places is None else [self.lines[place] for place in places]
        stem = stem_of(self.file)
        return [
            RawRow(f"{self.file}:{number}", stem, line_to_record(line)) for number, line in lines
        ]

    def names(self) -> Iterator[Collection[str]]:
        return _names(self.rows())

    def columns(self, names: Mapping[str, str]) -> Columns | None:
        lines = [line for _, line in self.lines]
        regular = find_regular(lines)
        arrays = read_columns(
            [line if fits else SKIPPED for line, fits in zip(lines, regular, strict=True)], names
        )
        if arrays is None:
            return None
        return Columns(
            arrays,
            regular,
            _places(self.file, pl.Series([number for number, _ in self.lines], dtype=pl.Int64)),
            stem_of(self.file),
            lambda wanted: [
                {} if isinstance(row.record, BadRow) else row.record for row in self.rows()
            ],
        )


Part = RecordPart | ParquetPart | LinesPart


def read_parts(file: str, extra: Collection[str] = ()) -> Iterator[Part]:
    """Every row of a file, in order, some thousand at a time.

    Args:
        extra: columns that are read beside `read.COLUMNS`; the file may lack them.

    Raises:
        InputError: the file is of no known kind, or damaged.
    """
    with input_errors(file):
        if is_parquet(file):
            first = 1
            for header, batch in read_batches(file, COLUMNS.union(extra)):
                yield ParquetPart(file, first, header, batch)
                first += batch.num_rows
        elif is_json_lines(file):
            for lines in _line_blocks(read_lines(file)):
                yield LinesPart(file, lines)
        else:
            for rows in batched(read_rows([file], extra), ROWS_PER_BATCH):
                yield RecordPart(rows)


def blocks_of_parts(parts: Iterable[Part], size: int) -> Iterator[list[Part]]:
    """Lists of parts with `size` rows together; the last may have fewer."""
    block, missing = list[Part](), size
    for part in parts:
        while len(part) >= missing:
            block.append(part.slice(0, missing))
            yield block
            part, block, missing = part.slice(missing, len(part)), [], size
        if len(part):
            block.append(part)
            missing -= len(part)
    if block:
        yield block


def _line_blocks(lines: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    block, size = list[tuple[int, bytes]](), 0
    for numbered in lines:
        block.append(numbered)
        size += len(numbered[1])
        if len(block) == ROWS_PER_BATCH or size >= MOST_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _names(rows: Iterable[RawRow]) -> Iterator[Collection[str]]:
    return (row.record.keys() for row in rows if not isinstance(row.record, BadRow))


def _places(file: str, numbers: pl.Series) -> pl.Series:
    return pl.select(pl.concat_str([pl.lit(f"{file}:"), numbers.cast(pl.String)])).to_series()
