"""The outputs of one or several runs as DuckDB views.

`sql/views.sql` has them for the run in the project's folder, for everyone who has DuckDB. Here the
views of stored tables are replaced: by those of other folders and of several runs, and by empty
tables where a file is missing. The views and macros that stand on them are those of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from dataselect.data.project_files import project_file
from dataselect.data.schemas import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The project's recipes, and the views that all of them stand on.
FOLDER = Path("sql")
VIEWS = "views.sql"

#: Where a run's tables lie: a folder, or the file of each by the name that it has there.
Outputs = Path | Mapping[str, Path]

#: A view of stored tables → its table's schema. What others are made of begins with `stored_`.
STORED_VIEWS = {
    **{name: name for name in TABLES if name not in ("scores", "groups", "selection")},
    "baseline": "evaluation",
    **{f"stored_{name}": name for name in ("groups", "scores", "selection")},
}
#: A view that stands on others → those.
MADE_OF = {
    "scores": ("stored_scores", "stored_groups"),
    "groups": ("stored_groups",),
    "selection": ("stored_selection",),
    "sources": ("pool", "stored_selection"),
    "why": ("stored_scores", "stored_groups"),
}


def views_file() -> Path:
    """The project's file of views, or the package's own.

    Raises:
        InputError: neither is there.
    """
    return project_file(str(FOLDER / VIEWS))


def file_name(view: str) -> str:
    """The file of a view of stored tables."""
    return f"{view.removeprefix('stored_')}.parquet"


def make_views(db: DuckDBPyConnection, runs: Mapping[str, Outputs], views: Path) -> None:
    """Makes all views and macros in a database; nothing is read of the outputs but their schemas.

    Args:
        runs: their outputs, by the names of the runs.
        views: the file `sql/views.sql`.
    """
    for statement in statements(runs, views):
        db.execute(statement)


def statements(runs: Mapping[str, Outputs], views: Path) -> Iterator[str]:
    """What makes the views and macros: a statement each, for any program with DuckDB."""
    for view in STORED_VIEWS:
        yield _stored_view(view, runs)
    text = re.sub(r"^--.*$", "", views.read_text(encoding="utf-8"), flags=re.M)
    # No text of that file holds a semicolon at the end of a line.
    for statement in re.split(r";\s*$", text, flags=re.M):
        made = re.match(r"\s*CREATE OR REPLACE VIEW (\w+)", statement)
        if statement.strip() and not (made and made[1] in STORED_VIEWS):
            yield f"{statement.strip()};"


def missing_files(runs: Mapping[str, Outputs], sql: str | None = None) -> list[str]:
    """The outputs that are not there in any run; with a text in SQL, those whose views it names."""
    missing = [view for view in _needed(sql) if not _files(view, runs)]
    outputs = list(runs.values())
    place = outputs[0] if len(outputs) == 1 and isinstance(outputs[0], Path) else Path("…")
    return [str(place / file_name(view)) for view in missing]


def gone_files(runs: Mapping[str, Outputs], sql: str | None = None) -> list[str]:
    """The outputs that a run has written and DVC's cache has no more; with SQL, as above."""
    return [
        f"{file_name(view)} of {name}"
        for view in _needed(sql)
        for name, outputs in runs.items()
        if not isinstance(outputs, Path)
        and file_name(view) in outputs
        and not outputs[file_name(view)].is_file()
    ]


def columns_named(db: DuckDBPyConnection, sql: str) -> str:
    """The columns of the views that a text in SQL names, as the end of a message."""
    words = set(re.findall(r"\w+", re.sub(r"--.*", "", sql)))
    views = [view for view in (*STORED_VIEWS, *MADE_OF) if view in words and view != "why"]
    columns = {view: [row[0] for row in db.execute(f"DESCRIBE {view}").fetchall()]
               for view in views}  # fmt: skip
    return "".join(f" `{view}` has: {', '.join(names)}." for view, names in columns.items())


def _needed(sql: str | None) -> list[str]:
    """The views of stored tables that a text in SQL names; all without a text."""
    if sql is None:
        return list(STORED_VIEWS)
    words = set(re.findall(r"\w+", re.sub(r"--.*", "", sql)))
    needed = words & set(STORED_VIEWS)
    for view, parts in MADE_OF.items():
        if view in words:
            needed |= set(parts)
    return [view for view in STORED_VIEWS if view in needed]


def _files(view: str, runs: Mapping[str, Outputs]) -> dict[str, Path]:
    """Run → the file of a view of stored tables, where it is there."""
    name, paths = file_name(view), {}
    for run, outputs in runs.items():
        path = outputs / name if isinstance(outputs, Path) else outputs.get(name)
        if path is not None and path.is_file():
            paths[run] = path
    return paths


def _stored_view(view: str, runs: Mapping[str, Outputs]) -> str:
    # With can_have_nan DuckDB does not skip blocks by their bounds, which leave out NaN losses.
    option = ", can_have_nan = true" if STORED_VIEWS[view] == "evaluation" else ""
    parts = [
        f"SELECT {_text(name)} AS run, * FROM read_parquet({_text(str(path))}{option})"
        for name, path in _files(view, runs).items()
    ]
    body = "\nUNION ALL BY NAME ".join(parts) or _empty(STORED_VIEWS[view])
    return f"CREATE OR REPLACE VIEW {view} AS\n{body};"


def _empty(name: str) -> str:
    columns = {"run": pl.String, **TABLES[name].columns, **TABLES[name].optional}
    nulls = (f'NULL::{_type(dtype)} AS "{column}"' for column, dtype in columns.items())
    return f"SELECT {', '.join(nulls)} WHERE false"


def _type(dtype: Any) -> str:
    """DuckDB's name of a column type of `data.schemas`."""
    if dtype is pl.Array:  # parquet has lists only
        return "FLOAT[]"
    if isinstance(dtype, pl.List):
        return f"{_type(dtype.inner)}[]"
    if isinstance(dtype, pl.Struct):
        return f"STRUCT({', '.join(f'{f.name} {_type(f.dtype)}' for f in dtype.fields)})"
    names = {pl.String: "VARCHAR", pl.Int64: "BIGINT", pl.Float64: "DOUBLE"}
    return {**names, pl.Float32: "FLOAT", pl.Boolean: "BOOLEAN"}[dtype]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
