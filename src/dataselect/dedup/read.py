"""Reads the rows of parquet, JSON, JSON lines, csv and tsv files, each with its place."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from dataselect.dedup.fields import POOL_COLUMNS, BadRow, json_type
from dataselect.dedup.separated import DELIMITERS, read_separated
from dataselect.errors import InputError

#: The columns of a parquet file that are read; of the others only the names.
COLUMNS = {
    *POOL_COLUMNS,
    *("task", "subtask", "answer", "answers", "choices", "kind", "prefill", "format", "max_tokens"),
    *("check", "cluster"),
}

#: Rows of a parquet file that are turned into Python objects together.
ROWS_PER_BATCH = 8_192

#: Errors for texts that are not UTF-8, and for years and time zones that Python does not have.
UNREADABLE = (ValueError, OverflowError, LookupError, NotImplementedError)

#: Parts of the names of Arrow's types of points in time.
TEMPORAL = ("timestamp", "duration", "date", "time", "month_day")

#: Arrow's types for which it lacks functions, such as `take`.
VIEWS = ("string_view", "binary_view", "list_view")


class RawRow(NamedTuple):
    """A row as the file has it.

    Attributes:
        place: the file, and the line or the row's number in it, from 1.
        stem: the file's name up to its first dot.
        record: its columns by name, or what is wrong with it.
    """

    place: str
    stem: str
    record: dict[str, Any] | BadRow


def read_rows(files: list[str], extra: Collection[str] = ()) -> Iterator[RawRow]:
    """Every row of the files, in order, one at a time.

    Args:
        extra: columns that are read beside `COLUMNS`; a file may lack them.

    Raises:
        InputError: a file is of no known kind, or damaged.
    """
    for name in files:
        with input_errors(name):
            for number, record in _records(name, COLUMNS.union(extra)):
                yield RawRow(f"{name}:{number}", stem_of(name), record)


def stem_of(name: str) -> str:
    """A file's name up to its first dot."""
    return Path(name).name.split(".")[0]


@contextmanager
def input_errors(name: str) -> Generator[None]:
    """Raises: InputError: the file cannot be read."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name}: cannot be read: {error}. Replace the file.") from None


def is_parquet(name: str) -> bool:
    """Whether a file is a parquet file, by its name."""
    return _without_compression(name).endswith((".parquet", ".pq"))


def is_json_lines(name: str) -> bool:
    """Whether a file has a JSON object per line, by its name and its first character."""
    return _without_compression(name).endswith((".jsonl", ".json", ".ndjson")) and not _is_array(
        name
    )


def _without_compression(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".zst")


def _records(name: str, wanted: Collection[str]) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
    kind = _without_compression(name)
    if is_parquet(name):
        yield from enumerate(_parquet(name, wanted), 1)
    elif is_json_lines(name):
        for number, line in read_lines(name):
            yield number, line_to_record(line)
    elif kind.endswith((".jsonl", ".json", ".ndjson")):
        with _open(name) as file:
            yield from enumerate(_array(name, file), 1)
    elif delimiter := next((d for end, d in DELIMITERS.items() if kind.endswith(end)), None):
        with _open(name) as file:
            yield from read_separated(name, file, delimiter)
    else:
        raise InputError(
            f"{name}: unknown kind of file. Expected .parquet, .jsonl, .json, .csv or .tsv (all "
            "but the first also as .gz or .zst). Convert it, or name other files."
        )


def _parquet(name: str, wanted: Collection[str]) -> Iterator[dict[str, Any] | BadRow]:
    for names, batch in read_batches(name, wanted):
        yield from batch_to_records(names, batch)


def read_batches(name: str, wanted: Collection[str]) -> Iterator[tuple[list[str], Any]]:
    """The rows of a parquet file as Arrow's record batches, with the names of all its columns.

    Args:
        wanted: the columns that are read; a file may lack them.

    Raises:
        InputError: it is not a parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # With a pre-buffer, the whole file would end up in memory.
        with pq.ParquetFile(name, pre_buffer=False) as file:
            names = file.schema_arrow.names
            columns = [column for column in names if column in wanted]
            for batch in file.iter_batches(batch_size=ROWS_PER_BATCH, columns=columns):
                yield names, batch
    except pa.ArrowException as error:
        raise InputError(f"{name}: not a parquet file: {error}. Replace the file.") from None
    except UnicodeDecodeError as error:  # texts of rows are made later
        raise InputError(
            f"{name}: damaged: a column's name is not UTF-8: {error.object[:20]!r}. "
            "Replace the file."
        ) from None


def batch_to_records(names: list[str], batch: Any) -> list[dict[str, Any] | BadRow]:
    """The rows of a record batch.

    Args:
        names: of all columns of the file: those that were not read are None in every row, so that
            an error can say what the file has.
    """
    unread = dict.fromkeys(names) if batch.num_columns < len(names) else {}
    try:
        records = batch.to_pylist()
    except UNREADABLE:
        records = [_to_record(batch.slice(number, 1)) for number in range(batch.num_rows)]
    if not unread:
        return records
    return [unread | row if isinstance(row, dict) else row for row in records]


def is_readable(batch: Any) -> bool:
    """Whether all values of a record batch are ones that Python has, for certain.

    Texts are UTF-8, which a parquet file does not ensure; and there are no points in time, nor
    views.
    """
    import pyarrow as pa

    if any(word in str(field.type) for field in batch.schema for word in (*TEMPORAL, *VIEWS)):
        return False
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _to_record(batch: Any) -> dict[str, Any] | BadRow:
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as error:
        return BadRow(f"not UTF-8: {error.object[:20]!r}")
    except UNREADABLE as error:
        return BadRow(f"a value that Python does not have: {error}")


def _open(name: str) -> IO[bytes]:
    if name.endswith(".gz"):
        return gzip.open(name, "rb")  # ty: ignore[invalid-explicit-return]
    if name.endswith(".zst"):
        import pyarrow as pa  # unlike the zstandard package, it notices a truncated file

        return io.BufferedReader(pa.input_stream(name, compression="zstd"))
    return Path(name).open("rb")


def _is_array(name: str) -> bool:
    """Whether a JSON file is one array, not an object per line."""
    with _open(name) as file:
        start = file.read(1)
        while start and start in b"\xef\xbb\xbf \t\r\n":  # a byte order mark, white space
            start = file.read(1)
    return start == b"["


def _array(name: str, file: IO[bytes]) -> Iterator[dict[str, Any] | BadRow]:
    try:
        records = json.load(file)
    except json.JSONDecodeError as error:
        place = f"{name}: line {error.lineno}, column {error.colno}"
        raise InputError(
            f"{place}: not JSON: {error.msg.removesuffix(' at')}. Correct it."
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: byte {error.start}: not UTF-8. Save it as UTF-8.") from None
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise InputError(f"{name}: not JSON that can be read: {error}. Correct it.") from None
    yield from (_record(value) for value in records)


def read_lines(name: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, each with its number, from 1."""
    with _open(name) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, line


def line_to_record(line: bytes) -> dict[str, Any] | BadRow:
    """A line of JSON as a record, or what is wrong with it."""
    try:
        return _record(json.loads(line))
    except json.JSONDecodeError as error:
        return BadRow(f"not JSON: {error.msg.removesuffix(' at')} at column {error.colno}")
    except UnicodeDecodeError as error:
        return BadRow(f"not UTF-8: byte {error.start + 1} of the line")
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        return BadRow(f"not JSON that can be read: {error}")


def _record(value: Any) -> dict[str, Any] | BadRow:
    if isinstance(value, dict):
        return value
    return BadRow(f"expected an object with messages, found {json_type(value)}")
