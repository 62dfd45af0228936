"""Answers a recipe or a statement in SQL over the outputs: the command `dataselect sql`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dataselect import report
from dataselect.ask.runs import run_outputs
from dataselect.ask.shell import open_shell
from dataselect.ask.views import (
    FOLDER,
    VIEWS,
    Outputs,
    columns_named,
    gone_files,
    make_views,
    missing_files,
    views_file,
)
from dataselect.data.inert import inert_values
from dataselect.data.project_files import project_file
from dataselect.errors import InputError, did_you_mean, first_few, inert

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Answer(NamedTuple):
    """What a statement returns: the names of its columns, and its rows."""

    header: list[str]
    rows: list[tuple]


def main(file: Path | None, values: list[str], statement: str | None, runs: list[str]) -> None:
    """Prints the answer of a recipe or a statement; without either, opens DuckDB's command line.

    Args:
        file: the recipe; its first line is its question.
        values: `name=value` for the variables that are set at its top.
        statement: what to answer instead.
        runs: `RUN` or `NAME=RUN` for every run, see `run_outputs`; none: that in this folder.

    Raises:
        InputError: there is no such file, variable or run, or DuckDB refuses the SQL.
    """
    outputs = run_outputs(runs)
    if statement is not None:
        if file is not None:
            raise InputError("both a recipe and -c are given. Remove one.")
        _print("", *answer_statement(statement, outputs))
    elif file is None:
        open_shell(outputs, _recipes())
    else:
        run_recipe(file, values, outputs)


def answer_statement(statement: str, runs: Mapping[str, Outputs]) -> Answer:
    """Runs a statement over the views.

    Raises:
        InputError: DuckDB refuses it, or it reads an output that is not there.
    """
    import duckdb

    _check_cached("-c", statement, runs)
    with duckdb.connect() as db:
        try:
            make_views(db, runs, views_file())
            rows = db.execute(statement).fetchall()
        except duckdb.Error as error:
            columns = columns_named(db, statement) if _of_a_column(error) else ""
            raise _refused("-c", error, statement, runs, columns) from None
        return _checked("-c", Answer(_columns(db), rows), statement, runs)


def run_recipe(file: Path, values: list[str], runs: Mapping[str, Outputs]) -> None:
    """Prints the answer of a recipe under its question and the values of its variables.

    Raises:
        InputError: there is no such file or variable, or DuckDB refuses the recipe.
    """
    import duckdb

    if wrong := [value for value in values if "=" not in value]:
        raise InputError(f"`{wrong[0]}`: expected name=value. Run one recipe at a time.")
    with duckdb.connect() as db:
        given = dict(value.partition("=")[::2] for value in values)
        found = execute(db, file, given, runs)
        used = db.sql("SELECT concat(name, ' = ', value) FROM duckdb_variables() ORDER BY 1")
        question = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("-- ")
        _print("\n".join([question, *sum(used.fetchall(), ())]), *found)


def execute(
    db: DuckDBPyConnection, file: Path, values: Mapping[str, str], runs: Mapping[str, Outputs]
) -> Answer:
    """Runs a recipe over the views, its variables set to `values`.

    The column `run` of its last statement is left out where there is only one.

    Raises:
        InputError: there is no such file or variable, DuckDB refuses the recipe, or it has no
            rows where an output that it reads is not there.
    """
    import duckdb

    if not file.is_file():
        raise InputError(f"no file is called `{file}`. {did_you_mean(file, _recipes())}")
    text = file.read_text(encoding="utf-8")
    _check_cached(str(file), text, runs)
    try:
        beside = file.parent / VIEWS
        own = beside.is_file() and not (FOLDER / VIEWS).is_file()
        make_views(db, runs, beside if own else views_file())
        statements = db.extract_statements(text)
        top = [*takewhile(lambda statement: statement.type == duckdb.StatementType.SET, statements)]
        db.execute("".join(statement.query for statement in top))
        _set_variables(db, file, values)
        rest = "".join(statement.query for statement in statements[len(top) :])
        rows = db.execute(rest or "SELECT error('the file has no query')").fetchall()
    except duckdb.Error as error:
        columns = columns_named(db, text) if _of_a_column(error) else ""
        raise _refused(str(file), error, text, runs, columns) from None
    found = _checked(str(file), Answer(_columns(db), rows), text, runs)
    return found if len(runs) > 1 else _without_run(found)


def _check_cached(place: str, sql: str, runs: Mapping[str, Outputs]) -> None:
    """Refuses to answer without the rows of a run whose file is gone."""
    from dataselect.compare.recorded import BRING

    if gone := gone_files(runs, sql):
        raise InputError(f"{place}: gone from DVC's cache: {first_few(gone)}. {BRING}.")


def _columns(db: DuckDBPyConnection) -> list[str]:
    return [column[0] for column in db.description or []]


def _without_run(found: Answer) -> Answer:
    kept = [place for place, name in enumerate(found.header) if name != "run"]
    rows = [tuple(row[place] for place in kept) for row in found.rows]
    return Answer([found.header[place] for place in kept], rows)


def _of_a_column(error: Exception) -> bool:
    """Whether DuckDB knows no column of a name."""
    return "Referenced column" in str(error) or "does not have a column named" in str(error)


def _refused(
    place: str, error: Exception, sql: str, runs: Mapping[str, Outputs], columns: str
) -> InputError:
    """DuckDB's error as a message: its first line, what there is, which outputs are not there."""
    reason = (str(error).partition("Error: ")[2] or str(error)).partition("\n")[0]
    return InputError(f"{place}: {reason}{columns}{_not_there(sql, runs)}")


def _checked(place: str, found: Answer, sql: str, runs: Mapping[str, Outputs]) -> Answer:
    if not found.rows and (note := _not_there(sql, runs)):
        raise InputError(f"{place}: no rows.{note}")
    return found


def _not_there(sql: str, runs: Mapping[str, Outputs]) -> str:
    missing = missing_files(runs, sql)
    if not missing:
        return ""
    in_folders = all(isinstance(outputs, Path) for outputs in runs.values())
    advice = (
        "Run `dvc repro` first, or `dvc exp apply NAME`"
        if in_folders
        else "Name runs that have them"
    )
    return f" Not there: {first_few(missing)}. {advice}."


def _print(title: str, header: list[str], rows: list[tuple]) -> None:
    names = [inert(name).replace("_", " ") for name in header]
    shown = [tuple(inert_values([*row])) for row in rows]
    report.table(inert(title), shown or [("no rows",)], names)


def _set_variables(db: DuckDBPyConnection, file: Path, values: Mapping[str, str]) -> None:
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
    found = project_file(str(FOLDER)).glob("*.sql")
    return sorted(str(path) for path in found if path.name != VIEWS)
