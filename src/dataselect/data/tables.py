"""Every table's schema; reading and writing refuse what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.data import files
from dataselect.errors import InputError, first_few

#: A turn of a conversation: role (system, user, assistant) and content.
Message = dict[str, str]

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))

#: Column by column. A score is one 32-bit float a group; its width is the number of groups. Where
#: every row is in one group only, `group` says in which, and the score is that one float.
SCHEMAS: dict[str, dict[str, Any]] = {
    "pool": {"row": pl.Int64, "id": pl.String, "source": pl.String, "messages": MESSAGES},
    "dropped": {"id": pl.String, "source": pl.String, "reason": pl.String, "place": pl.String},
    "queries": {
        "task": pl.String,
        "id": pl.String,
        "messages": MESSAGES,
        "subtask": pl.String,
    },
    "tests": {
        "task": pl.String,
        "id": pl.String,
        "messages": MESSAGES,
        "answer": pl.String,
        "choices": pl.List(pl.String),
        "kind": pl.String,
    },
    "scores": {"row": pl.Int64, "id": pl.String, "group": pl.Int64, "score": pl.Array},
    "groups": {
        "group": pl.Int64,
        "name": pl.String,
        "task": pl.String,
        "parent": pl.String,
    },
    "selection": {
        "rank": pl.Int64,
        "row": pl.Int64,
        "id": pl.String,
        "source": pl.String,
        "group": pl.Int64,
        "task": pl.String,
        "score": pl.Float32,
    },
    "evaluation": {
        "task": pl.String,
        "id": pl.String,
        "metric": pl.String,
        "value": pl.Float64,
        "answer_nll_nats": pl.Float64,
        "output": pl.String,
    },
}

#: How a table is stored, where not as the others: scores hardly shrink and never repeat, and are
#: read several times as fast without the attempt.
PARQUET_OPTIONS: dict[str, dict[str, Any]] = {
    "scores": {"compression": "lz4", "use_dictionary": ["id", "group"]},
}

#: Columns that must hold a value in every row; what may be null is not named.
NOT_NULL = {
    "pool": ("row", "id", "source", "messages"),
    "dropped": ("id", "source", "reason"),
    "queries": ("task", "id", "messages"),
    "tests": ("task", "id", "messages", "answer"),
    "scores": ("row", "id", "score"),
    "groups": ("group", "name"),
    "selection": ("rank", "row", "id", "source", "group", "score"),
    "evaluation": ("task", "id", "metric", "value"),
}

#: A column that counts 0, 1, 2 … in the order of the rows.
ROW_NUMBER = {"pool": "row", "scores": "row", "groups": "group", "selection": "rank"}


def check(name: str, frame: pl.DataFrame, place: str = "in memory", first: int = 0) -> None:
    """Refuses a frame that is not a (part of a) table of this name.

    Args:
        first: what the table's counting column starts at, for a part of a table.

    Raises:
        InputError: a column is missing, has another type, holds a null, or does not count.
    """
    where = f"{name} table ({place})"
    for column, dtype in SCHEMAS[name].items():
        if column not in frame.columns:
            raise InputError(f"{where}: no column `{column}`; found {', '.join(frame.columns)}.")
        found = frame.schema[column]
        if found != dtype and found.base_type() is not dtype:
            raise InputError(f"{where}: column `{column}`: expected {dtype}, found {found}.")
    for column in NOT_NULL[name]:
        if nulls := frame[column].null_count():
            raise InputError(f"{where}: column `{column}`: {nulls} nulls; none may be there.")
    if counter := ROW_NUMBER.get(name):
        wanted = pl.int_range(first, first + frame.height, eager=True)
        if not (wrong := frame.filter(frame[counter] != wanted)).is_empty():
            rows = first_few(wrong[counter])
            raise InputError(f"{where}: `{counter}` must count from {first}; found {rows}.")


def empty(name: str) -> pl.DataFrame:
    """A table of this name without rows."""
    return pl.DataFrame(schema=SCHEMAS[name])


def read(name: str, path: str | Path) -> pl.DataFrame:
    """Reads a whole table and checks it."""
    frame = pl.read_parquet(path)
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
            columns = [*SCHEMAS[name], *(c for c in frame.columns if c not in SCHEMAS[name])]
            block = frame.select(columns).to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                stored = {"compression": "zstd", **PARQUET_OPTIONS.get(name, {})}
                writer = pq.ParquetWriter(temporary, block.schema, **stored)
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
    """Reads a table in blocks of at most so many rows, in its order; whole types are checked."""
    import pyarrow.parquet as pq

    first = 0
    with pq.ParquetFile(path, pre_buffer=False) as file:  # else all that was read is kept
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
    frames, kept, count = iter(frames), pl.DataFrame(), 0
    for size in sizes:
        parts = [kept]
        while count < size:
            if (frame := next(frames, None)) is None:
                raise ValueError(f"{size - count} rows are missing")
            parts.append(frame)
            count += frame.height
        kept = pl.concat([part for part in parts if part.height] or [kept])
        yield kept[:size]
        kept, count = kept[size:], count - size
    if count or next(frames, None) is not None:
        raise ValueError("there are more rows than expected")


def row_count(path: str | Path) -> int:
    """The number of rows of a parquet file, from its footer."""
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def list_size(path: str | Path, column: str) -> int:
    """How many numbers a row holds in a column of arrays, from the file's schema."""
    import pyarrow.parquet as pq

    return pq.read_schema(path).field(column).type.list_size
