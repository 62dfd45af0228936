"""A condition on the columns of one row, in DuckDB's SQL: `pool.where`, read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from dataselect.errors import InputError

#: Parts of an expression that look at more than the row, or at nothing.
REFUSED_PARTS = {
    "SUBQUERY": "a query inside it",
    "WINDOW": "a window function",
    "STAR": "a `*`",
    "PARAMETER": "a parameter",
}


class Condition(NamedTuple):
    """What a condition reads of a row.

    Attributes:
        columns: the columns, as they are first written.
        literals: the columns that it compares with a literal: name in lower case, the literal's
            kind: `STRING`, `BOOLEAN`, and others for numbers. DuckDB itself compares a text with a
            number: it rounds 4.6 in a text to 5.
        measured: the columns of which it takes the length, in lower case. Of a list, which is JSON
            here, DuckDB would count the characters.
    """

    columns: tuple[str, ...] = ()
    literals: frozenset[tuple[str, str]] = frozenset()
    measured: frozenset[str] = frozenset()


def needed_columns(where: str | None) -> tuple[str, ...]:
    """The columns that a condition reads; none of no condition: see `read_condition`."""
    return read_condition(where).columns


def read_condition(where: str | None) -> Condition:
    """What a condition reads, found by DuckDB's own parser; nothing of no condition.

    Raises:
        InputError: it is no expression over the columns of a single row.
    """
    if where is None:
        return Condition()
    db = connect()
    columns: dict[str, str] = {}  # SQL does not tell upper from lower case
    literals, measured = set[tuple[str, str]](), set[str]()
    for part in _parts(_parse(db, where), frozenset()):
        if part["class"] in REFUSED_PARTS:
            raise InputError(
                f"pool.where: found {REFUSED_PARTS[part['class']]}. Expected a condition on the "
                "columns of one row. Remove it."
            )
        if part["class"] == "FUNCTION":
            _check_function(db, part["function_name"])
            measured |= _measured(part)
        if part["class"] == "COLUMN_REF":
            name = part["column_names"][0]
            columns.setdefault(name.lower(), name)
        if str(part.get("type", "")).startswith("COMPARE_"):
            literals |= _compared(part)
    return Condition(tuple(columns.values()), frozenset(literals), frozenset(measured))


def _compared(comparison: dict[str, Any]) -> set[tuple[str, str]]:
    """Its bare columns with the kinds of its literals, but for null."""
    names = ("left", "right", "input", "lower", "upper")
    operands = [comparison[name] for name in names if name in comparison]
    operands += comparison.get("children", ())
    kinds = {o["literal"]["kind"] for o in operands if o["class"] == "CONSTANT"} - {"NULL"}
    return {(name, kind) for name in _bare_columns(operands) for kind in kinds}


def _measured(call: dict[str, Any]) -> set[str]:
    """The bare columns that a call takes the length of."""
    if call["function_name"] not in ("len", "length", "strlen"):
        return set()
    return _bare_columns([argument["expression"] for argument in call["arguments"]])


def _bare_columns(parts: list[dict[str, Any]]) -> set[str]:
    """Those of the parts that are a column and no member of one, in lower case."""
    names = [part["column_names"] for part in parts if part["class"] == "COLUMN_REF"]
    return {name[0].lower() for name in names if len(name) == 1}


def _parse(db: Any, where: str) -> dict[str, Any]:
    """The tree of an expression.

    Raises:
        InputError: it is none.
    """
    parsed: dict[str, Any] = {}
    # Without parentheses errors name the user's text; with them only an expression is right.
    for text in (where, f"({where}\n)"):
        (found,) = db.execute("SELECT json_serialize_sql(?)", [f"SELECT {text}"]).fetchone()
        parsed = json.loads(found)
        if parsed["error"]:
            raise InputError(
                f"pool.where: {parsed['error_message']}; found `{where:.80}`. Expected a "
                "condition in DuckDB's SQL, like `judge_score >= 4 and license = 'mit'`. Fix it."
            )
    (expression,) = parsed["statements"][0]["node"]["select_list"]
    if expression.get("function_name") == "row":
        raise InputError(
            f"pool.where: found `{where:.80}`. Expected one condition; join several with `and`."
        )
    return expression


def _parts(node: Any, parameters: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Every part of an expression but the parameters of its lambdas."""
    if isinstance(node, list):
        for item in node:
            yield from _parts(item, parameters)
    elif isinstance(node, dict):
        if node.get("syntax_type") == "LAMBDA_KEYWORD":
            names = [part["column_names"][0] for part in _parts(node["lhs"], frozenset())
                     if part["class"] == "COLUMN_REF"]  # fmt: skip
            parameters = parameters.union(names)
        bound = node.get("class") == "COLUMN_REF" and node["column_names"][0] in parameters
        if "class" in node and not bound:
            yield node
        for value in node.values():
            yield from _parts(value, parameters)


def _check_function(db: Any, name: str) -> None:
    """Refuses functions of several rows, of the time or of chance, and those that there are not."""
    query = "SELECT function_type, stability FROM duckdb_functions() WHERE function_name = ?"
    found = set(db.execute(query, [name.lower()]).fetchall())
    if not found & {("scalar", "CONSISTENT"), ("macro", None)}:
        what = "is not a function of the values of one row" if found else "is no function of DuckDB"
        raise InputError(
            f"pool.where: `{name}` {what}; the same row must always get the same result. Fix the "
            "name, or remove it."
        )


def connect() -> Any:
    """A database that reads no files and loads nothing."""
    import duckdb

    names = ("enable_external_access", "autoinstall_known_extensions")
    config = dict.fromkeys((*names, "autoload_known_extensions"), "false")
    return duckdb.connect(config={**config, "threads": 1, "lock_configuration": "true"})
