"""Columns of the files beside the conversations: those that `pool.keep` and `pool.where` name."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

import polars as pl

from dataselect.data import tables
from dataselect.data.schemas import TOOL_USE
from dataselect.dedup.condition import needed_columns
from dataselect.dedup.fields import BadRow
from dataselect.dedup.parts import Part
from dataselect.dedup.settings import PoolRules
from dataselect.errors import InputError, did_you_mean

#: Names that a kept column cannot have: columns of the tables and keys of the training file.
RESERVED = {*tables.schema("pool"), *tables.schema("selection"), *TOOL_USE, "tools"}


class ColumnSearch:
    """Finds out whether the files have the columns that settings name.

    Args:
        settings: column → the setting that names it.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.missing = dict(settings)
        self._found: dict[str, None] = {}

    def look(self, part: Part) -> None:
        """Notes the columns of further rows."""
        if self.missing:
            for names in part.names():
                self.add(names)

    def add(self, names: Iterable[str]) -> None:
        """Notes columns."""
        self._found.update(dict.fromkeys(names))
        for name in self.missing.keys() & self._found.keys():
            del self.missing[name]

    def check(self) -> None:
        """Raises: InputError: no row that was read has one of the columns."""
        if self.missing and self._found:
            name, setting = next(iter(self.missing.items()))
            hint = did_you_mean(name, self._found)
            if setting == "pool.where":
                hint += " A text stands in single quotes."
            raise InputError(f"{setting}: no row of the pool has a column `{name}`. {hint} Fix it.")


def named_columns(rules: PoolRules) -> dict[str, str]:
    """The columns that rules name → the setting that does, for messages.

    Raises:
        InputError: `pool.where` is no condition.
    """
    named = dict.fromkeys(rules.keep, "pool.keep, or the scorer's column")
    return named | dict.fromkeys(needed_columns(rules.where), "pool.where")


def check_keep(settings: Mapping[str, str]) -> None:
    """Checks the names of the columns that are kept.

    Args:
        settings: the place of a setting → the column that it names.

    Raises:
        InputError: a name is empty, comes twice, or is one of the program's own columns.
    """
    seen: set[str] = set()
    for place, name in settings.items():
        reasons = {
            "an empty name": not name.strip(),
            f"`{name}` is a column that the tables have already": name.lower() in RESERVED,
            f"`{name}` comes twice; upper and lower case are the same": name.lower() in seen,
        }
        if wrong := [reason for reason, holds in reasons.items() if holds]:
            raise InputError(f"{place}: {wrong[0]}. Remove it, or rename the column in the files.")
        seen.add(name.lower())  # SQL does not tell upper from lower case


def plain_value(value: Any) -> Any:
    """A value of a row as JSON has it: a decimal number as a float, a date as its text."""
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    return float(value) if isinstance(value, Decimal) else str(value)


def to_json(value: Any) -> str:
    """A value as JSON text; in it, dates are texts.

    Raises:
        UnicodeEncodeError: a text in it is not valid Unicode.
    """
    text = json.dumps(value, ensure_ascii=False, default=plain_value)
    text.encode()
    return text


def pack(record: Mapping[str, Any], names: Collection[str]) -> str | None:
    """The kept columns of a row as one JSON text; None where none is kept.

    Raises:
        BadRow: a text is not valid Unicode.
    """
    if not names:
        return None
    values = {name: plain_value(record.get(name)) for name in names}
    try:
        return to_json(values)
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise BadRow(f"kept columns: not valid Unicode: half a surrogate pair, {half!r}") from None


def column_types(packed: Iterable[pl.Series], names: Collection[str]) -> dict[str, Any]:
    """The type of each kept column, decided over all its rows, whatever their order.

    All true or false: boolean; all whole numbers of 64 bits: int64; all numbers: float64; else
    text. Nulls decide nothing.

    Args:
        packed: what `pack` made, in blocks.
    """
    kinds: dict[str, set[str]] = {name: set() for name in names}
    for block in packed:
        for text in block:
            for name, value in json.loads(text).items():
                if value is not None:
                    kinds[name].add(_json_kind(value))
    return {name: _type(found) for name, found in kinds.items()}


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if is_int64(value) else "number"
    return "number" if isinstance(value, float) else "text"


def is_int64(value: int) -> bool:
    """Whether a whole number fits into 64 bits."""
    return -(2**63) <= value < 2**63


def _type(kinds: set[str]) -> Any:
    if kinds == {"boolean"}:
        return pl.Boolean
    if kinds == {"integer"}:
        return pl.Int64
    return pl.Float64 if kinds and kinds <= {"integer", "number"} else pl.String


def unpack(packed: pl.Series, types: Mapping[str, Any]) -> list[pl.Series]:
    """The kept columns of a block of rows (b), each with its type.

    Lists, objects, and numbers beside texts, are JSON text.

    Args:
        packed: what `pack` made.
        types: of `column_types`.
    """
    rows = [json.loads(text) for text in packed]
    return [
        pl.Series(name, [_typed(row[name], dtype) for row in rows], dtype)
        for name, dtype in types.items()
    ]


def _typed(value: Any, dtype: Any) -> Any:
    if value is None:
        return None
    if dtype == pl.Float64:
        return to_float(value)
    return to_json(value) if dtype == pl.String and not isinstance(value, str) else value


def to_float(value: float) -> float:
    """A number as a float; ±∞ where it is too large."""
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf
