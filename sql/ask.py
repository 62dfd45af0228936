"""Asks a question of the outputs: python sql/ask.py sql/chosen_by.sql [name=value ...]."""

import sys
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import duckdb

from dataselect import report
from dataselect.data import tables
from dataselect.errors import InputError, did_you_mean, first_few

HERE = Path(__file__).parent


def ask(db: duckdb.DuckDBPyConnection, path: Path, given: dict[str, str]) -> list[tuple]:
    """Runs a file over the views, the variables at its top set to what is given: its last rows."""
    if not path.is_file():
        raise InputError(f"no file is called `{path}`. {did_you_mean(path, _known())}")
    try:
        for view in db.extract_statements((HERE / "views.sql").read_text(encoding="utf-8")):
            with suppress(duckdb.IOException, duckdb.CatalogException):  # the file may do without
                db.execute(view)
        statements = db.extract_statements(path.read_text(encoding="utf-8"))
        top = [*takewhile(lambda one: one.type == duckdb.StatementType.SET, statements)]
        db.execute("".join(one.query for one in top))
        types = dict(db.execute("SELECT name, type FROM duckdb_variables()").fetchall())
        for name, value in given.items():
            if name not in types:
                hint = did_you_mean(name, sorted(types) or ["none"])
                raise InputError(f"{path}: no variable is called `{name}`. {hint}")
            _set(db, name, types[name], value)
        rest = "".join(one.query for one in statements[len(top) :])
        return db.execute(rest or "SELECT error('nothing is asked')").fetchall()
    except duckdb.Error as error:
        why = str(error).partition("Error: ")[2].partition("\n")[0]
        missing = [f for n in tables.SCHEMAS if not Path(f := f"out/{n}.parquet").exists()]
        if missing and isinstance(error, duckdb.CatalogException):
            why += f" Not there: {first_few(missing)}. Run `dvc repro` first, in this folder."
        raise InputError(f"{path}: {why}") from None


def _set(db: duckdb.DuckDBPyConnection, name: str, kind: str, value: str) -> None:
    try:
        db.execute(f'SET VARIABLE "{name}" = CAST($1 AS {kind})', [value])
    except duckdb.ConversionException:
        raise InputError(
            f"{name}: expected a value of type {kind}; found `{value}`. Mend it there."
        ) from None


def _known() -> list[str]:
    return sorted(f"sql/{p.name}" for p in HERE.glob("*.sql") if p.stem != "views")


def main(path: str | None = None, *given: str) -> None:
    """Prints the answer under the question, the first line of the file."""
    if path is None:
        there = ", ".join(_known())
        raise InputError(f"name a file: ask.py FILE [name=value ...]. There are: {there}.")
    if wrong := [one for one in given if "=" not in one]:
        raise InputError(f"`{wrong[0]}`: expected name=value. Ask one file at a time.")
    rows = ask(db := duckdb.connect(), Path(path), dict(one.partition("=")[::2] for one in given))
    header = [column[0].replace("_", " ") for column in db.description]
    used = db.sql("SELECT concat(name, ' = ', value) FROM duckdb_variables() ORDER BY 1").fetchall()
    question = Path(path).read_text(encoding="utf-8").partition("\n")[0].removeprefix("-- ")
    report.table("\n".join([question, *sum(used, ())]), rows or [("no rows",)], header)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InputError as error:
        sys.exit(f"ask: {error}")
