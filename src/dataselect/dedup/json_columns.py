"""Lines of JSON → columns, read by Arrow where Python's json would give the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dataselect.dedup.turns import CALLS

#: What stands for a line that is not regular.
SKIPPED = b"{}\n"

#: Words that Arrow's parser takes for numbers, and Python's does not.
_NOT_NUMBERS = re.compile(rb"[:,\[]\s*-?(?:Inf|NaN)")
_WORDS = (b"Inf", b"NaN")

#: Python's json refuses longer whole numbers: `sys.int_info.default_max_str_digits`.
_MOST_DIGITS = 4_300
_LONG_NUMBER = re.compile(rb"\d{%d}" % _MOST_DIGITS)

#: Of the bytes of a long number, so many are looked at: by chance, so many digits stand together
#: in no ordinary text.
_LOOKS = 8
_DIGITS = re.compile(rb"\d{%d}" % _LOOKS)

#: Python's json refuses what is nested deeper than the interpreter's stack allows.
_MOST_LEVELS = 500


def find_regular(lines: list[bytes]) -> np.ndarray:
    """Which lines Arrow reads as Python's json does, or refuses as it does (bool, n)."""
    data = b"".join(lines)
    # So one line is one object: nowhere inside a value may `{` follow a `}`.
    regular = [line.startswith(b"{") and line.endswith((b"}\n", b"}\r\n", b"}")) for line in lines]
    found = np.asarray(regular, dtype=bool)
    doubtful = np.arange(len(lines)) if _may_be_odd(data) else _find_doubtful(lines, data)
    for place in doubtful.tolist():
        found[place] = regular[place] and _is_regular(lines[place])
    return found


def _may_be_odd(data: bytes) -> bool:
    """Whether bytes that are not UTF-8, or a very long number, may be in some lines."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return b"\0" in data or bool(_DIGITS.search(data[:: _MOST_DIGITS // _LOOKS]))


def _find_doubtful(lines: list[bytes], data: bytes) -> np.ndarray:
    """The places of lines with many brackets, or words that may stand for numbers (int64)."""
    letters = np.frombuffer(data, np.uint8)
    ends = np.cumsum([len(line) for line in lines])
    brackets = np.flatnonzero(letters & 0xDF == ord("["))  # and {
    counts = np.diff(np.searchsorted(brackets, ends), prepend=0)
    places = [np.flatnonzero(counts > _MOST_LEVELS)]
    for word in _WORDS:
        begins = np.flatnonzero(letters[:-2] == word[0])
        begins = begins[(letters[begins + 1] == word[1]) & (letters[begins + 2] == word[2])]
        places.append(np.searchsorted(ends, begins, side="right"))
    return np.unique(np.concatenate(places))


def _is_regular(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return not (
        b"\0" in line
        or line.count(b"[") + line.count(b"{") > _MOST_LEVELS
        or _NOT_NUMBERS.search(line)
        or _LONG_NUMBER.search(line)
    )


def read_columns(lines: list[bytes], names: Mapping[str, str]) -> dict[str, Any] | None:
    """Columns of regular lines (b) as Arrow arrays; all but those asked for are skipped.

    Args:
        lines: each with its end.
        names: our name of a column → the files'; `messages`, `id`, `source`, `dataset`, `tools`.

    Returns:
        Our name → the column; None where a line is no JSON, or a column is not of the type that
        it has in the first row, or the tools are given.
    """
    import pyarrow as pa
    import pyarrow.json

    schema = _schema(lines, names)
    data = b"".join(lines)
    if schema is None or len(set(schema.names)) < len(schema.names):
        return None
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(data),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
            pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if table.num_rows != len(lines):
        return None
    table = table.combine_chunks()
    return {ours: table.column(theirs).chunk(0) for ours, theirs in names.items()}


def _schema(lines: list[bytes], names: Mapping[str, str]) -> Any:
    """The types of the columns; None where the first row has no list of messages."""
    import pyarrow as pa

    try:
        first = json.loads(next(line for line in lines if line != SKIPPED))
    except (StopIteration, ValueError, RecursionError):
        return None
    if "messages" not in names or not isinstance(first.get(names["messages"]), list):
        return None
    text, absent = pa.string(), pa.null()
    turn = {"role": text, "content": text} | dict.fromkeys(CALLS, absent)
    types = {"messages": pa.list_(pa.struct(list(turn.items()))), "tools": absent}
    if type(first.get(names.get("id"))) is int:
        types["id"] = pa.int64()
    return pa.schema([(theirs, types.get(ours, text)) for ours, theirs in names.items()])
