"""A condition on the columns of one row, in DuckDB's SQL: `pool.where`, read and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dataselect.errors import InputError

#: Parts of an expression that look at more than the row, or at nothing.
REFUSED_PARTS = {
    "SUBQUERY": "a query inside it",
    "WINDOW": "a window function",
    "STAR": "a `*`",
    "PARAMETER": "a parameter",
}


def needed_columns(where: str | None) -> tuple[str, ...]:
    """The columns that a condition reads, found by DuckDB's own parser; none of no condition.

    Raises:
        InputError: it is no expression over the columns of a single row.
    """
    if where is None:
        return ()
    db = connect()
    columns: dict[str, str] = {}  # SQL does not tell upper from lower case
    for part in _parts(_parse(db, where), frozenset()):
        if part["class"] in REFUSED_PARTS:
            raise InputError(
                f"pool.where: found {REFUSED_PARTS[part['class']]}. Expected a condition on the "
                "columns of one row. Remove it."
            )
        if part["class"] == "FUNCTION":
            _check_function(db, part["function_name"])
        if part["class"] == "COLUMN_REF":
            name = part["column_names"][0]
            columns.setdefault(name.lower(), name)
    return tuple(columns.values())


def compared_literals(where: str | None) -> set[tuple[str, str]]:
    """The columns that a condition compares with a literal: name in lower case, the literal's kind.

    Kinds are `STRING`, `BOOLEAN`, and others for numbers. DuckDB itself compares a text with a
    number: it rounds 4.6 in a text to 5.
    """
    if where is None:
        return set()
    found = set()
    for part in _parts(_parse(connect(), where), frozenset()):
        if str(part.get("type", "")).startswith("COMPARE_"):
            names = ("left", "right", "input", "lower", "upper")
            operands = [*(part[name] for name in names if name in part), *part.get("children", ())]
            literals = {o["literal"]["kind"] for o in operands if o["class"] == "CONSTANT"} - {
                "NULL"
            }
            columns = [o["column_names"] for o in operands if o["class"] == "COLUMN_REF"]
            found |= {(c[0].lower(), kind) for c in columns if len(c) == 1 for kind in literals}
    return found


def measured_columns(where: str | None) -> set[str]:
    """The columns of which a condition takes the length, in lower case.

    Of a list, which is JSON here, DuckDB would count the characters.
    """
    if where is None:
        return set()
    measured = set()
    for call in _parts(_parse(connect(), where), frozenset()):
        if call["class"] == "FUNCTION" and call["function_name"] in ("len", "length", "strlen"):
            inner = [argument["expression"] for argument in call["arguments"]]
            names = [part["column_names"] for part in inner if part["class"] == "COLUMN_REF"]
            measured |= {name[0].lower() for name in names if len(name) == 1}
    return measured


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
