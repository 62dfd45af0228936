"""Reads and writes tables; refuses what breaks their schemas."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.data import files
from dataselect.data.schemas import ENCODING, MESSAGES, TABLES, Message
from dataselect.errors import InputError, first_few

__all__ = ["ENCODING", "MESSAGES", "TABLES", "Message"]


def schema(name: str) -> dict[str, Any]:
    """The columns of a table: name → type."""
    return TABLES[name].columns


def check(name: str, frame: pl.DataFrame, place: str = "in memory", first: int = 0) -> None:
    """Checks that a frame is a table of this name, or a part of one.

    Args:
        place: the file, for messages.
        first: the number that the counter starts with, for a part of a table.

    Raises:
        InputError: a column is missing, has another type, holds a null, or does not count.
    """
    table = TABLES[name]

    def wrong(text: str) -> InputError:
        again = "Run the stage that writes it: `dvc repro --force --single-item` and its name."
        return InputError(f"{name} table ({place}): {text}. {again}")

    optional = {name: dtype for name, dtype in table.optional.items() if name in frame.columns}
    columns = frame.schema
    for column, dtype in (table.columns | optional).items():
        if column not in columns:
            raise wrong(f"no column `{column}`; found {', '.join(columns)}")
        found = columns[column]
        if found != dtype and found.base_type() is not dtype:
            raise wrong(f"column `{column}`: expected {dtype}, found {found}")
        nulls = frame[column].null_count()
        if nulls and column not in (*table.nullable, *optional):
            raise wrong(f"column `{column}`: expected no nulls, found {nulls}")
    if table.counter:
        expected = pl.int_range(first, first + frame.height, eager=True)
        counted = frame[table.counter]
        if not counted.equals(expected):
            rows = first_few(counted.filter(counted != expected))
            raise wrong(f"`{table.counter}` must count from {first}; found {rows}")


def empty(name: str) -> pl.DataFrame:
    """A table of this name without rows."""
    return pl.DataFrame(schema=schema(name))


def read(name: str, path: str | Path) -> pl.DataFrame:
    """Reads a whole table and checks it."""
    frame = pl.read_parquet(path, glob=False)
    check(name, frame, str(path))
    return frame


def write(name: str, frame: pl.DataFrame, path: str | Path) -> None:
    """Checks a table and writes it, whole or not at all."""
    with open_writer(name, path) as put:
        put(frame)


@contextmanager
def open_writer(name: str, path: str | Path) -> Generator[Callable[[pl.DataFrame], None]]:
    """Writes a table block by block, in memory that does not grow with it; whole or not at all.

    Yields a function that takes the next block. Same blocks, same bytes.
    """
    import pyarrow.parquet as pq

    path = Path(path)
    with files.atomic_write(path) as temporary:
        writer: pq.ParquetWriter | None = None
        rows = 0

        def put(frame: pl.DataFrame) -> None:
            nonlocal writer, rows
            check(name, frame, str(path), rows)
            rows += frame.height
            known = schema(name)
            columns = [*known, *(column for column in frame.columns if column not in known)]
            ordered = frame if frame.columns == columns else frame.select(columns)
            block = ordered.to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                options = {"compression": "zstd", **TABLES[name].storage}
                writer = pq.ParquetWriter(temporary, block.schema, **options)
            writer.write_table(block)

        try:
            yield put
            if writer is None:
                put(empty(name))
        finally:
            if writer is not None:
                writer.close()


def iter_batches(
    name: str, path: str | Path, rows: int = 65_536, columns: list[str] | None = None
) -> Iterator[pl.DataFrame]:
    """Reads a table in blocks of at most `rows` rows; checked where all columns are read."""
    import pyarrow.parquet as pq

    first = 0
    with pq.ParquetFile(path, pre_buffer=False) as file:  # a pre-buffer keeps all that was read
        for batch in file.iter_batches(batch_size=rows, columns=columns):
            frame = pl.DataFrame(pl.from_arrow(batch))
            if columns is None:
                check(name, frame, str(path), first)
            first += frame.height
            yield frame


def rebatch(frames: Iterable[pl.DataFrame], sizes: Iterable[int]) -> Iterator[pl.DataFrame]:
    """The same rows in frames of these sizes.

    Raises:
        ValueError: there are more or fewer rows than the sizes add up to.
    """
    frames, rest, count = iter(frames), pl.DataFrame(), 0
    for size in sizes:
        parts = [rest]
        while count < size:
            if (frame := next(frames, None)) is None:
                raise ValueError(f"{size - count} rows are missing")
            parts.append(frame)
            count += frame.height
        joined = pl.concat([part for part in parts if part.height] or [rest])
        yield joined[:size]
        rest, count = joined[size:], count - size
    if count or next(frames, None) is not None:
        raise ValueError("there are more rows than expected")


def row_count(path: str | Path) -> int:
    """The number of rows of a parquet file, from its footer."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def list_size(path: str | Path, column: str) -> int:
    """How many numbers a row has in a column of arrays, from the file's schema."""
    import pyarrow.parquet as pq

    return pq.read_schema(path).field(column).type.list_size
