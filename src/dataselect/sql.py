"""Runs a recipe in SQL over the outputs: the command `dataselect sql`."""

from __future__ import annotations

from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from dataselect import report
from dataselect.data import tables
from dataselect.errors import InputError, did_you_mean, first_few

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The project's recipes, and the views that all of them stand on.
FOLDER = Path("sql")
VIEWS = "views.sql"


def run_recipe(file: Path | None, values: list[str]) -> None:
    """Prints the answer of a recipe under its question, the file's first line.

    Args:
        file: the recipe.
        values: `name=value` for the variables that are set at its top.

    Raises:
        InputError: there is no such file or variable, or DuckDB refuses the recipe.
    """
    import duckdb

    if file is None:
        names = ", ".join(_recipes())
        raise InputError(
            f"name a recipe: dataselect sql FILE [name=value ...]. There are: {names}."
        )
    if wrong := [value for value in values if "=" not in value]:
        raise InputError(f"`{wrong[0]}`: expected name=value. Run one recipe at a time.")
    db = duckdb.connect()
    rows = execute(db, file, dict(value.partition("=")[::2] for value in values))
    header = [column[0].replace("_", " ") for column in db.description]
    used = db.sql("SELECT concat(name, ' = ', value) FROM duckdb_variables() ORDER BY 1").fetchall()
    question = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("-- ")
    report.table("\n".join([question, *sum(used, ())]), rows or [("no rows",)], header)


def execute(db: DuckDBPyConnection, file: Path, values: dict[str, str]) -> list[tuple]:
    """Runs a recipe over the views, its variables set to `values`.

    Returns:
        The rows of its last statement.

    Raises:
        InputError: there is no such file or variable, or DuckDB refuses the recipe.
    """
    import duckdb

    if not file.is_file():
        raise InputError(f"no file is called `{file}`. {did_you_mean(file, _recipes())}")
    try:
        _make_views(db, file)
        statements = db.extract_statements(file.read_text(encoding="utf-8"))
        top = [*takewhile(lambda statement: statement.type == duckdb.StatementType.SET, statements)]
        db.execute("".join(statement.query for statement in top))
        _set_variables(db, file, values)
        rest = "".join(statement.query for statement in statements[len(top) :])
        return db.execute(rest or "SELECT error('the file has no query')").fetchall()
    except duckdb.Error as error:
        reason = str(error).partition("Error: ")[2].partition("\n")[0]
        missing = [f for n in tables.TABLES if not Path(f := f"out/{n}.parquet").exists()]
        if missing and isinstance(error, duckdb.CatalogException):
            reason += f" Not there: {first_few(missing)}. Run `dvc repro` first, in this folder."
        raise InputError(f"{file}: {reason}") from None


def _make_views(db: DuckDBPyConnection, recipe: Path) -> None:
    import duckdb

    views = FOLDER / VIEWS if (FOLDER / VIEWS).is_file() else recipe.parent / VIEWS
    for view in db.extract_statements(views.read_text(encoding="utf-8")):
        with suppress(duckdb.IOException, duckdb.CatalogException):  # the recipe may not need it
            db.execute(view)


def _set_variables(db: DuckDBPyConnection, file: Path, values: dict[str, str]) -> None:
    import duckdb

    types = dict(db.execute("SELECT name, type FROM duckdb_variables()").fetchall())
    for name, value in values.items():
        if name not in types:
            hint = did_you_mean(name, sorted(types) or ["none"])
            raise InputError(f"{file}: no variable is called `{name}`. {hint}")
        try:
            db.execute(f'SET VARIABLE "{name}" = CAST($1 AS {types[name]})', [value])
        except duckdb.ConversionException:
            raise InputError(
                f"{name}: expected a value of type {types[name]}; found `{value}`. Fix the value."
            ) from None


def _recipes() -> list[str]:
    return sorted(str(path) for path in FOLDER.glob("*.sql") if path.name != VIEWS)
