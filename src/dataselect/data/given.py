"""Rows that Python code gives: as paths, frames, lists or data sets → files to read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.errors import InputError, first_few

#: What may be given, for messages.
EXPECTED = (
    "a path, a glob or a list of these; a Polars or pandas frame; a list of dictionaries; or a "
    "Dataset of the library datasets"
)


def given_path(rows: Any, folder: Path, name: str) -> str | list[str]:
    """The path of rows; rows that are no path are written into a file first.

    Args:
        rows: one of `EXPECTED`.
        folder: for the file; it may not be there yet.
        name: `pool`, `queries` or `tests`: the file's name, and the place in messages.

    Raises:
        InputError: it is none of these, or a value in it has no form in a file.
    """
    if isinstance(rows, str | os.PathLike):
        return os.fspath(rows)
    if isinstance(rows, Sequence) and rows and all(isinstance(r, str | os.PathLike) for r in rows):
        return [os.fspath(path) for path in rows]
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        return _write_lines(rows, folder / f"{name}.jsonl", name)
    return _write_frame(rows, folder / f"{name}.parquet", name)


def _write_lines(rows: Sequence[Mapping[str, Any]], path: Path, name: str) -> str:
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows, 1):
            try:
                file.write(json.dumps(dict(row), ensure_ascii=False, allow_nan=False) + "\n")
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"{name}: item {number}: a value that JSON does not have: {error}. Expected "
                    "texts, numbers, lists and dictionaries. Convert it."
                ) from None
    return str(path)


def _write_frame(rows: Any, path: Path, name: str) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if isinstance(rows, pl.LazyFrame):
            rows.sink_parquet(path)
        elif isinstance(rows, pl.DataFrame):
            rows.write_parquet(path)
        elif _is(rows, "pandas", "DataFrame"):
            pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path)
        elif isinstance(rows, pa.Table):
            pq.write_table(rows, path)
        elif _is(rows, "datasets", "Dataset"):
            rows.to_parquet(str(path))
        else:
            raise InputError(f"{name}: expected {EXPECTED}; found {_found(rows)}")
    except (pl.exceptions.PolarsError, pa.ArrowException, TypeError, OverflowError) as error:
        raise InputError(
            f"{name}: a column that a Parquet file cannot hold: {error}. Convert it, or leave it "
            "out."
        ) from None
    return str(path)


def _is(value: Any, library: str, name: str) -> bool:
    """Whether a value is of a library's class; the library is not imported for that."""
    kind = getattr(sys.modules.get(library), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _found(value: Any) -> str:
    """What was given instead, and what to do with it."""
    if _is(value, "datasets", "DatasetDict"):
        splits = first_few(f"`{split}`" for split in value)
        return f"a DatasetDict with {splits}. Give one of its splits."
    if _is(value, "datasets", "IterableDataset"):
        return "an IterableDataset. Load it without streaming, or give a list of its rows."
    if isinstance(value, Sequence):
        kinds = first_few(sorted({type(item).__name__ for item in value}))
        return f"a {type(value).__name__} of {kinds}. Give one of these."
    return f"{type(value).__module__}.{type(value).__name__}. Give one of these."
