"""The recipes sql/*.sql over outputs of a few rows; their results, worked by hand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dataselect.data import tables
from dataselect.errors import InputError
from dataselect.ask.recipe import execute, main, run_recipe
from dataselect.ask.runs import run_folders
from tests.helpers import ROOT

NEVER = float("-inf")
OUT = {"out": Path("out")}


def turns(prompt, response):
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]


def write(name, rows, **types):
    schema = tables.schema(name) | types
    rows = [(*row, *[None] * (len(schema) - len(row))) for row in rows]
    tables.write(name, pl.DataFrame(rows, schema=schema, orient="row"), f"out/{name}.parquet")


@pytest.fixture
def out(tmp_path, monkeypatch):
    """Six pool rows of three sources, two groups, a selection of three rows."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    (tmp_path / "out").mkdir()
    system = {"role": "system", "content": "Be brief."}
    later = turns("And 2+3?", "five")
    write("pool", [
        (0, "a0", "alpha", turns("What is\n\n  1+1?", "two")),
        (1, "a1", "alpha", [system, *turns("[b]What[/b] is 1+2?", "three"), *later]),
        (2, "a2", "alpha", turns("Hi", "Hello there")),
        (3, "b0", "beta", turns("Sing", "La la la la")),
        (4, "b1", "beta", [{"role": "assistant", "content": "Time"}]),
        (5, "c0", "gamma", turns("Bye", "See you")),
    ])  # fmt: skip
    write("dropped", [("a9", "alpha", "empty", None, "pool.jsonl:9")])
    write("contamination", [
        (1, "a1", "alpha", "sum", "t1", 0.75, "[b]what is\n6", True, False),
        (3, "b0", "beta", "song", "t0", 1.0, "Hum", True, True),
        (None, "a8", "alpha", "sum", "t0", 1.0, "5+5", True, False),
    ])  # fmt: skip
    write("selected_contamination", [(1, "a1", "sum", "t1")])
    write("queries", [
        ("sum", "q0", turns("4+4?", "eight"), None),
        ("song", "q1", turns("Sing!", "La"), None),
    ])  # fmt: skip
    write("tests", [
        ("sum", "t0", [*turns("1+1?", "two"), *turns("5+5?", "ten")], "ten", None, None),
        ("sum", "t1", turns("6+6?", "twelve"), "twelve", None, None),
        ("song", "t0", turns("Hum", "Hm"), "Hm", ["Hm", "Ah"], None),
        ("song", "t1", turns("Whistle", "Wheee"), "Wheee", None, None),
    ])  # fmt: skip
    write("groups", [(0, "q0", "sum", None), (1, "q1", "song", None)])
    write("scores", [
        (0, "a0", None, [0.5, 0.25]),
        (1, "a1", None, [0.75, NEVER]),
        (2, "a2", None, [0.25, 0.125]),
        (3, "b0", None, [0.0, 1.0]),
        (4, "b1", None, [0.25, 0.5]),
        (5, "c0", None, [NEVER, NEVER]),
    ], score=pl.Array(pl.Float32, 2))  # fmt: skip
    write("selection", [
        (0, 1, "a1", "alpha", 0, "sum", 0.75),
        (1, 3, "b0", "beta", 1, "song", 1.0),
        (2, 0, "a0", "alpha", 0, "sum", 0.5),
    ])  # fmt: skip
    write("evaluation", [
        ("sum", "t0", "exact_match", 0.0, 2.5, "eleven\nor so", False, None),
        ("sum", "t1", "exact_match", 1.0, 0.5, "twelve", False, None),
        ("song", "t0", "acc", 0.0, 4.0, None, True, None),
        ("song", "t1", "acc", 0.0, float("nan"), "Hm", False, None),
    ])  # fmt: skip
    return tmp_path / "out"


def answer(name, **given):
    with duckdb.connect() as db:
        return execute(db, Path(f"sql/{name}.sql"), given, OUT).rows


def rows(tmp_path, sql):
    """The result of a user's own recipe, in a folder without views."""
    file = tmp_path / "own.sql"
    file.write_text(sql)
    with duckdb.connect() as db:
        return execute(db, file, {}, OUT).rows


def test_share_per_source(out):
    assert answer("share_per_source") == [
        ("alpha", 3, 2, "50.0%", "66.7%", "1.33"),
        ("beta", 2, 1, "33.3%", "33.3%", "1.00"),
        ("gamma", 1, 0, "16.7%", "0.0%", "0.00"),
    ]


def test_chosen_by_takes_the_group_that_chose_first(out):
    assert answer("chosen_by") == [
        ("[b]What[/b] is 1+2?\n→ three", 0, 0.75, "a1"),
        ("What is 1+1?\n→ two", 2, 0.5, "a0"),
    ]


def test_chosen_by_another_group_cut_short(out):
    assert answer("chosen_by", group="q1", width="6") == [("Sing\n→ La la…", 1, 1.0, "b0")]
    assert answer("chosen_by", most="1") == [("[b]What[/b] is 1+2?\n→ three", 0, 0.75, "a1")]


def test_best_not_selected_breaks_ties_by_row_and_skips_what_is_no_candidate(out):
    assert answer("best_not_selected") == [
        ("Hi\n→ Hello there", "q0", 0.25, "a2"),
        ("\n→ Time", "q0", 0.25, "b1"),
        ("\n→ Time", "q1", 0.5, "b1"),
        ("Hi\n→ Hello there", "q1", 0.125, "a2"),
    ]
    assert answer("best_not_selected", group="q1", most="1") == [("\n→ Time", "q1", 0.5, "b1")]


def test_overlap_with_itself_and_with_another(out):
    assert answer("overlap", other="out/selection.parquet") == [
        ("all sources", 3, 3, 3, 1.0),
        ("alpha", 2, 2, 2, 1.0),
        ("beta", 1, 1, 1, 1.0),
    ]
    other = [
        (0, 7, "a0", "alpha", 0, None, 0.5),
        (1, 8, "a2", "alpha", 0, None, 0.5),
        (2, 9, "c0", "gamma", 0, None, 0.5),
    ]
    frame = pl.DataFrame(other, schema=tables.schema("selection"), orient="row")
    tables.write("selection", frame, "other.parquet")
    assert answer("overlap", other="other.parquet") == [
        ("all sources", 3, 3, 1, 0.2),
        ("alpha", 2, 2, 1, 1 / 3),
        ("beta", 1, 0, 0, 0.0),
        ("gamma", 0, 1, 0, 0.0),
    ]


def test_hardest_tests(out):
    assert answer("hardest_tests") == [
        ("Hum\n= Hm\n→ ", 4.0, 0.0, "t0"),
        ("5+5?\n= ten\n→ eleven or so", 2.5, 0.0, "t0"),
        ("6+6?\n= twelve\n→ twelve", 0.5, 1.0, "t1"),
    ]
    assert answer("hardest_tests", task="sum", most="1") == [
        ("5+5?\n= ten\n→ eleven or so", 2.5, 0.0, "t0")
    ]


def test_hybrid(out):
    assert answer("hybrid") == []

    def answered(value):
        return [{"metric": "equal_value", "value": 1.0}, {"metric": "answered", "value": value}]

    chain, program = (0.0, 1.0, 0.0, 1.0), ((1.0, 1.0), (0.0, 0.0), (0.0, 0.0), (0.0, 1.0))
    rows = [("m", f"t{i}", "e", value, None, "", False, None) for i, value in enumerate(chain)]
    rows += [
        ("m_pot", f"t{i}", "e", value, None, "", False, answered(found))
        for i, (value, found) in enumerate(program)
    ]
    write("evaluation", rows)
    # The program's 1 and 0 where it answers; the chain's 1 and 0 where it does not.
    assert answer("hybrid") == [("m", 0.5, 0.5, 0.25, 0.5, 4)]
    assert answer("hybrid", task="m") == answer("hybrid")


def test_contaminated(out):
    assert answer("contaminated") == [
        ("Hum\n→ Hum", 1.0, True, "song", "t0", "b0"),
        ("5+5?\n→ 5+5", 1.0, False, "sum", "t0", "a8"),
        ("6+6?\n→ [b]what is 6", 0.75, False, "sum", "t1", "a1"),
    ]
    assert answer("contaminated", task="sum", most="1")[0][-1] == "a8"
    chosen = answer("contaminated", chosen="true", width="6")
    assert [row[0] for row in chosen] == ["Hum\n→ Hum", "6+6?\n→ [b]wh…"]


def test_scores_are_one_row_a_pool_row_and_group(out, tmp_path):
    assert rows(tmp_path, 'FROM scores WHERE row IN (1, 3, 5) ORDER BY row, "group"') == [
        (1, "a1", 0, "q0", "sum", 0.75),
        (3, "b0", 0, "q0", "sum", 0.0),
        (3, "b0", 1, "q1", "song", 1.0),
    ]


def test_a_method_with_one_group_and_no_task(out, tmp_path):
    write("groups", [(0, "pool", None, None)])
    write(
        "scores", [(0, "a0", None, [0.5]), (1, "a1", None, [0.25])], score=pl.Array(pl.Float32, 1)
    )
    write("selection", [(0, 0, "a0", "alpha", 0, None, 0.5)])
    assert rows(tmp_path, "FROM scores ORDER BY row") == [
        (0, "a0", 0, "pool", None, 0.5),
        (1, "a1", 0, "pool", None, 0.25),
    ]
    assert answer("chosen_by") == [("What is 1+1?\n→ two", 0, 0.5, "a0")]
    assert answer("best_not_selected") == [("[b]What[/b] is 1+2?\n→ three", "pool", 0.25, "a1")]


def test_every_recipe_begins_with_its_question_and_what_to_change():
    for file in (ROOT / "sql").glob("*.sql"):
        first, second = file.read_text().splitlines()[:2]
        assert first.startswith("-- ") and second.startswith("-- "), file


def test_the_table_is_printed_as_it_is_in_80_columns(out, capsys):
    run_recipe(Path("sql/chosen_by.sql"), ["group=q0"], OUT)
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        "Which rows did a group (a query, a task, …) choose?",
        "group = q0",
        "most = 10",
        "width = 76",
        " text                 rank   score  id",
        " [b]What[/b] is 1+2?     0  0.7500  a1",
        " → three",
        " What is 1+1?            2  0.5000  a0",
        " → two",
        "",
    ]


def test_a_result_without_rows_says_so(out, capsys):
    run_recipe(Path("sql/hardest_tests.sql"), ["most=0"], OUT)
    assert "no rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("shares_per_source", {}, "Did you mean `sql/share_per_source.sql`? There are: "),
        ("chosen_by", {"grup": "q0"}, "Did you mean `group`? There are: group, most, width."),
        ("chosen_by", {"group": "q00"}, "group: there is no `q00`. Did you mean `q0`?"),
        ("best_not_selected", {"group": "q11"}, "group: there is no `q11`. Did you mean `q1`?"),
        ("contaminated", {"task": "sums"}, "task: there is no `sums`. Did you mean `sum`?"),
        ("hardest_tests", {"task": "sums"}, "task: there is no `sums`. Did you mean `sum`?"),
        (
            "chosen_by",
            {"most": "ten"},
            "most: expected a value of type INTEGER; found `ten`. Fix the value.",
        ),
        ("share_per_source", {"group": "q0"}, "no variable is called `group`. There are: none."),
        (
            "overlap",
            {},
            "other: expected the file of another selection, found none. Add other=… to the command",
        ),
        ("overlap", {"other": "gone.parquet"}, 'No files found that match the pattern "gone.pa'),
    ],
)
def test_a_mistake_is_one_message(out, name, given, message):
    with pytest.raises(InputError) as error:
        answer(name, **given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("sql", ["", "-- only a comment", "SET VARIABLE a = 1;"])
def test_a_file_without_a_query_is_refused(out, tmp_path, sql):
    with pytest.raises(InputError, match="the file has no query"):
        rows(tmp_path, sql)


def test_only_the_outputs_that_a_query_needs_must_be_there(out):
    (out / "evaluation.parquet").unlink()
    assert answer("share_per_source")[0][0] == "alpha"
    with pytest.raises(
        InputError, match=r"found `ten`\. Fix"
    ):  # another mistake, which needs no output
        answer("chosen_by", most="ten")
    message = r"evaluation does not exist! Not there: out/evaluation.parquet. Run `dvc repro` first"
    with pytest.raises(InputError, match=message):
        answer("hardest_tests")


def test_a_command_without_a_recipe_lists_them(out):
    with pytest.raises(
        InputError, match=r"There are: sql/best_not_selected\.sql, .*source\.sql\.$"
    ):
        main(None, [], None, [])
    with pytest.raises(InputError, match=r"`most`: expected name=value\. Run one recipe at a time"):
        run_recipe(Path("sql/chosen_by.sql"), ["most"], OUT)


def test_without_outputs_the_command_ends_with_one_message(tmp_path):
    command = [
        sys.executable,
        "-m",
        "dataselect.cli",
        "sql",
        str(ROOT / "sql/share_per_source.sql"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Run `dvc repro` first" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
