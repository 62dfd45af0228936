"""Leaves rows out by a condition in DuckDB's SQL: `pool.where`."""

from __future__ import annotations

import json
import math
from itertools import islice, product
from typing import Any

import polars as pl

from dataselect.dedup.condition import connect, read_condition
from dataselect.dedup.fields import BadRow
from dataselect.dedup.kept_columns import is_int64, plain_value, to_float
from dataselect.dedup.read import RawRow
from dataselect.errors import InputError

#: Why a row that does not meet the condition is not in the pool.
FILTERED = "filtered by pool.where"

#: A type of SQL → the type of the column that holds its values.
TYPES = {
    "BOOLEAN": pl.Boolean,
    "BIGINT": pl.Int64,
    "DOUBLE": pl.Float64,
    "VARCHAR": pl.String,
    "JSON": pl.String,
}

#: What a column of some type, or a literal of some kind, is; other literals are numbers.
LITERALS = {
    "BOOLEAN": "true or false",
    "BIGINT": "number",
    "DOUBLE": "number",
    "VARCHAR": "text",
    "STRING": "text",
}

#: Types to try for a null, and how many combinations: functions like `abs` need to know one.
NULL_TYPES = ('"NULL"', "DOUBLE", "VARCHAR", "JSON")
COMBINATIONS = 256

Values = list[tuple[Any, ...]]

#: Types of a condition's result, as DuckDB names them: `JSON` is a member that is true or false,
#: and a null alone has the type INTEGER.
CONDITION_TYPES = ("BOOLEAN", "JSON", '"NULL"', "NULL")


class RowFilter:
    """Says which rows meet a condition; each by its own values and their types alone.

    Rows are computed together with those whose values have the same types: so neither the order of
    the rows nor where blocks end changes anything.

    Args:
        where: an expression of DuckDB's SQL over the rows' columns; None: every row does.

    Attributes:
        columns: the columns that the condition reads.

    Raises:
        InputError: it is not such an expression.
    """

    def __init__(self, where: str | None) -> None:
        self._where = where
        self.columns, self._literals, self._measured = read_condition(where)
        self._db = connect() if where is not None else None
        self._null_types: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __call__(self, rows: list[RawRow]) -> list[bool]:
        """Whether each row meets the condition (b); a row that cannot be read does.

        Null, and so a missing column, counts as false.

        Raises:
            InputError: it cannot be computed for a row.
        """
        import duckdb

        wanted = [True] * len(rows)
        if self._db is None:
            return wanted
        failed: list[int] = []
        for kinds, values in self._by_kinds(rows).items():
            numbers = list(values)
            try:
                results = self._compute(kinds, list(values.values()))
            except duckdb.Error:
                failed.append(numbers[self._first_failing(kinds, list(values.values()))])
                continue
            for number, result in zip(numbers, results, strict=True):
                wanted[number] = result
        if failed:
            raise self._mistake(rows[min(failed)])
        return wanted

    def _values(self, row: RawRow) -> tuple[Any, ...]:
        assert not isinstance(row.record, BadRow)
        return tuple(plain_value(row.record.get(name)) for name in self.columns)

    def _by_kinds(self, rows: list[RawRow]) -> dict[tuple[str, ...], dict[int, tuple[Any, ...]]]:
        """The values of the rows that can be read, by their types and the row's number."""
        groups: dict[tuple[str, ...], dict[int, tuple[Any, ...]]] = {}
        for number, row in enumerate(rows):
            if not isinstance(row.record, BadRow):
                values = self._values(row)
                groups.setdefault(tuple(map(_sql_type, values)), {})[number] = values
        return groups

    def _compute(self, kinds: tuple[str, ...], values: Values) -> list[bool]:
        """Whether each of some rows meets the condition.

        Raises:
            duckdb.Error: it cannot be computed.
        """
        self._check_literals(kinds)
        if kinds not in self._null_types:
            self._null_types[kinds] = self._find_null_types(kinds)
        return self._query(kinds, self._null_types[kinds], values)

    def _check_literals(self, kinds: tuple[str, ...]) -> None:
        """Refuses a text that is compared with a number, or true and false with anything else."""
        import duckdb

        types = dict(zip(map(str.lower, self.columns), kinds, strict=True))
        for column in self._measured:
            if types.get(column) == "JSON":
                raise duckdb.InvalidInputException(f"{column}: the length of the text of its JSON")
        for column, literal in self._literals:
            expected, found = LITERALS.get(types.get(column, "")), LITERALS.get(literal, "number")
            if expected not in (None, found):
                raise duckdb.InvalidInputException(f"{column}: {expected} compared with {found}")

    def _find_null_types(self, kinds: tuple[str, ...]) -> tuple[str, ...]:
        """Types of the nulls with which the condition has a meaning; the first where none has."""
        import duckdb

        options = list(islice(product(NULL_TYPES, repeat=kinds.count("NULL")), COMBINATIONS))
        for null_types in options:
            try:
                self._query(kinds, null_types, [])
            except duckdb.BinderException:
                continue
            except duckdb.Error:
                pass
            return null_types
        return options[0]

    def _query(
        self, kinds: tuple[str, ...], null_types: tuple[str, ...], values: Values
    ) -> list[bool]:
        data = {"number": pl.Series(range(len(values)), dtype=pl.Int64)}
        columns, types = [], iter(null_types)
        for number, (name, kind) in enumerate(zip(self.columns, kinds, strict=True)):
            source = f"NULL::{next(types)}" if kind == "NULL" else f"c{number}::{kind}"
            columns.append(f"{source} AS {_quoted(name)}")
            if kind != "NULL":
                cells = [_cell(row[number], kind) for row in values]
                data[f"c{number}"] = pl.Series(cells, dtype=TYPES[kind])
        assert self._db is not None
        self._db.register("block", pl.DataFrame(data).to_arrow())
        # The line break ends a comment at the condition's end.
        query = (
            f"SELECT ({self._where}\n) AS met "
            f"FROM (SELECT {', '.join(columns) or 'number'} FROM block ORDER BY number)"
        )
        import duckdb

        done = self._db.execute(query)
        kind, results = str(done.description[0][1]), done.fetchall()
        if kind not in CONDITION_TYPES:
            raise duckdb.InvalidInputException("it is no condition, but a number or a text")
        return [result in (True, "true") for (result,) in results]

    def _first_failing(self, kinds: tuple[str, ...], values: Values) -> int:
        """The number of the first row for which the condition cannot be computed."""
        import duckdb

        low, high = 0, len(values)
        while high - low > 1:
            middle = (low + high) // 2
            try:
                self._compute(kinds, values[low:middle])
                low = middle
            except duckdb.Error:
                high = middle
        return low

    def _mistake(self, row: RawRow) -> InputError:
        import duckdb

        values = self._values(row)
        try:
            self._compute(tuple(map(_sql_type, values)), [values])
            reason = "no reason given"
        except duckdb.Error as error:
            reason = str(error).splitlines()[0].rstrip(".")
        found = ", ".join(
            f"{name} = {json.dumps(value, ensure_ascii=False, default=plain_value)[:40]}"
            for name, value in zip(self.columns, values, strict=True)
        )
        hint = "`try_cast(column AS DOUBLE)` is null where a value is no number"
        if "JSON" in reason:
            hint = (
                "`column->>'name'` is the text in an object, `json_array_length(column)` a length"
            )
        return InputError(
            f"{row.place}: pool.where cannot be computed: {reason}. The row has {found}. Fix the "
            f"row, or the condition: {hint}."
        )


def _sql_type(value: Any) -> str:
    """A value's type of SQL."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "NULL"
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT" if is_int64(value) else "DOUBLE"
    if isinstance(value, float):
        return "DOUBLE"
    return "VARCHAR" if isinstance(value, str) else "JSON"


def _cell(value: Any, kind: str) -> Any:
    """A value as a column of its kind holds it; half a surrogate pair as a question mark."""
    if kind == "JSON":
        return json.dumps(value, default=plain_value)
    if kind == "DOUBLE":
        return to_float(value)
    return value.encode("utf-8", "replace").decode() if kind == "VARCHAR" else value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
