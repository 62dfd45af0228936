"""Views over runs: missing files are empty tables; plain DuckDB makes the same of the file."""

import duckdb
import pytest

from dataselect.ask.views import STORED_VIEWS, make_views, missing_files, statements
from tests.helpers import ROOT

VIEWS = ROOT / "sql" / "views.sql"


def columns(db, view):
    return {row[0]: row[1] for row in db.execute(f"DESCRIBE {view}").fetchall()}


def test_a_missing_file_is_an_empty_table_with_the_same_columns(out, tmp_path):
    with duckdb.connect() as there, duckdb.connect() as missing:
        make_views(there, {"out": out}, VIEWS)
        make_views(missing, {"out": tmp_path / "nothing"}, VIEWS)
        for view in [*STORED_VIEWS, "scores", "selection", "groups", "sources"]:
            if view == "baseline":
                continue
            found, expected = columns(missing, view), columns(there, view)
            assert {name: found[name] for name in expected} == expected, view
            assert missing.execute(f"SELECT count(*) FROM {view}").fetchone() == (0,)
        assert columns(missing, "baseline") == columns(missing, "evaluation")


def test_the_file_makes_the_same_views_in_plain_duckdb(out):
    (out / "baseline.parquet").write_bytes((out / "evaluation.parquet").read_bytes())
    with duckdb.connect() as plain, duckdb.connect() as ours:
        plain.sql(VIEWS.read_text())
        make_views(ours, {"out": out}, VIEWS)
        names = {row[0] for row in plain.execute("SHOW TABLES").fetchall()}
        assert names == {row[0] for row in ours.execute("SHOW TABLES").fetchall()}
        for view in sorted(names):
            rows = f"FROM {view} ORDER BY ALL"
            assert str(plain.execute(rows).fetchall()) == str(ours.execute(rows).fetchall()), view


def test_several_runs_may_have_other_columns_and_other_groups(out, tmp_path):
    from tests.small_run import write

    other = tmp_path / "it's other"
    other.mkdir()
    write("groups", [(0, "pool", None, None)], folder=other)
    with duckdb.connect() as db:
        make_views(db, {"a": out, "it's": other}, VIEWS)
        rows = db.execute("SELECT run, group_name FROM groups ORDER BY ALL").fetchall()
        assert rows == [("a", "q0"), ("a", "q1"), ("it's", "pool")]
        assert db.execute("SELECT count(*) FROM scores").fetchone() == (9,)


def test_every_statement_is_a_whole_one():
    made = list(statements({}, VIEWS))
    for statement in made:
        assert statement.endswith(";")
        assert len(duckdb.extract_statements(statement)) == 1
    text = VIEWS.read_text()
    assert len(made) == len(duckdb.extract_statements(text))


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("FROM pool", []),
        ("FROM baseline", ["baseline"]),
        ("-- baseline\nFROM sources", []),
        ("FROM selection JOIN scores USING (row)", ["groups"]),
        (None, ["baseline", "groups"]),
    ],
)
def test_which_files_are_missing(out, sql, names):
    (out / "groups.parquet").unlink()
    missing = missing_files({"out": out}, sql)
    assert sorted(missing) == [str(out / f"{name}.parquet") for name in names]
