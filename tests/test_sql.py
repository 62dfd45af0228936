"""The recipes sql/*.sql over outputs of a few rows; their results, worked by hand."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from dataselect.ask.recipe import answer_statement, execute, main, run_recipe
from dataselect.ask.runs import run_outputs
from dataselect.data import tables
from dataselect.errors import InputError
from tests.helpers import ROOT, mistake
from tests.small_run import turns, write

OUT = {"out": Path("out")}


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


@pytest.fixture
def two_runs(out):
    """The run, and another whose pool has other numbers: `b` chose a0, a2 and c0."""
    other = [("pool", 7, "a0"), ("pool", 8, "a2"), ("pool", 9, "c0")]
    sources = {"a0": "alpha", "a2": "alpha", "c0": "gamma"}
    pool = [(i, name, sources[name], turns(name, name)) for i, (_, _, name) in enumerate(other)]
    chosen = [(i, i, name, sources[name], 0, None, 0.5) for i, (_, _, name) in enumerate(other)]
    (out.parent / "b/out").mkdir(parents=True)
    write("pool", pool, folder="b/out")
    write("selection", chosen, folder="b/out")
    return run_outputs(["a=out", "b=b"])


def answer_both(name, runs, **given):
    with duckdb.connect() as db:
        return execute(db, Path(f"sql/{name}.sql"), given, runs)


def test_overlap_of_two_runs(two_runs):
    header, rows = answer_both("overlap", two_runs)
    assert header == ["source", "one", "other", "in_one", "in_other", "shared", "jaccard"]
    assert rows == [
        ("all sources", "a", "b", 3, 3, 1, 0.2),
        ("alpha", "a", "b", 2, 2, 1, 1 / 3),
        ("beta", "a", "b", 1, 0, 0, 0.0),
        ("gamma", "a", "b", 0, 1, 0, 0.0),
    ]


def test_overlap_of_a_run_with_itself(out):
    rows = answer_both("overlap", {"a": out, "b": out}).rows
    assert [row[0] for row in rows] == ["all sources", "alpha", "beta"]
    assert {row[-1] for row in rows} == {1.0}


def test_what_two_runs_disagree_on(two_runs):
    assert answer_both("disagreements", two_runs).rows == [
        ("[b]What[/b] is 1+2?\n→ three", "a", 0, "q0", "a1", False),
        ("Sing\n→ La la la la", "a", 1, "q1", "b0", False),
        ("a2\n→ a2", "b", 1, None, "a2", True),
        ("c0\n→ c0", "b", 2, None, "c0", True),
    ]
    assert len(answer_both("disagreements", two_runs, most="1").rows) == 2


def test_several_runs_have_a_column_run_and_one_has_none(two_runs):
    header, rows = answer_both("share_per_source", two_runs)
    assert header[-1] == "run"
    assert [(row[-1], row[0], row[2]) for row in rows] == [
        ("a", "alpha", 2), ("a", "beta", 1), ("a", "gamma", 0), ("b", "alpha", 2), ("b", "gamma", 1)
    ]  # fmt: skip
    sums = "SELECT run, sum(pool_share), sum(selected_share) FROM sources GROUP BY run ORDER BY 1"
    for run, pool, selected in answer_statement(sums, two_runs).rows:
        assert (run in ("a", "b"), pool, selected) == (True, pytest.approx(1), pytest.approx(1))
    assert "run" not in answer_both("share_per_source", {"a": Path("out")}).header


def test_dropped_by_reason(out):
    write("dropped", [
        ("a8", "alpha", "empty", None, "pool.jsonl:9"),
        ("a9", "alpha", "empty", None, "pool.jsonl:10"),
        ("b9", "beta", "duplicate", "b0", "pool.jsonl:3"),
    ])  # fmt: skip
    assert answer("dropped_by_reason") == [
        ("empty", "alpha", 2, "pool.jsonl:10"),
        ("duplicate", "beta", 1, "pool.jsonl:3"),
    ]


def test_the_best_rows_of_a_group_chosen_or_not(out):
    assert answer("best_of", group="q1", most="3", width="8") == [
        ("Sing\n→ La la l…", 1.0, "q1", "b0"),
        ("\n→ Time", 0.5, "–", "b1"),
        ("What is…\n→ two", 0.25, "q0", "a0"),
    ]
    assert [row[3] for row in answer("best_of")] == ["a1", "a0", "a2", "b1", "b0"]


def test_why_gives_rank_and_score_in_every_group_and_the_place_in_the_selection(out):
    ask = "SELECT group_name, score, rank, chosen FROM why({}) ORDER BY rank, group_name"
    by_id = answer_statement(ask.format("'a0'"), OUT).rows
    assert by_id == [("q0", 0.5, 2, 2), ("q1", 0.25, 3, None)]
    assert answer_statement(ask.format(0), OUT).rows == by_id
    # Of equal scores the row with the lower number is first.
    assert answer_statement(ask.format("'b1'"), OUT).rows == [
        ("q1", 0.5, 2, None), ("q0", 0.25, 4, None)
    ]  # fmt: skip
    assert answer_statement(ask.format("'c0'"), OUT).rows == []


def test_views_name_the_group(out):
    for view in ("scores", "selection", "groups"):
        rows = answer_statement(f"SELECT DISTINCT group_name FROM {view} ORDER BY 1", OUT).rows
        assert rows == [("q0",), ("q1",)]


def test_a_statement_is_answered(out, capsys):
    main(None, [], "SELECT count(*) AS pool_rows FROM pool", [])
    assert capsys.readouterr().out.split() == ["pool", "rows", "6"]


def test_signs_that_steer_a_terminal_are_shown(out, capsys):
    main(None, [], "SELECT 'a' || chr(27) || '[2J' AS x", [])
    printed = capsys.readouterr().out
    assert "a␛[2J" in printed
    assert "\x1b[2J" not in printed


def test_an_empty_selection_is_no_error(out):
    tables.write("selection", tables.empty("selection"), "out/selection.parquet")
    assert [row[1:5] for row in answer("share_per_source")] == [
        (3, 0, "50.0%", None), (2, 0, "33.3%", None), (1, 0, "16.7%", None)
    ]  # fmt: skip
    assert answer("chosen_by", group="q0") == []
    assert answer("dropped_by_reason") == [("empty", "alpha", 1, "pool.jsonl:9")]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELEC 1", '-c: syntax error at or near "SELEC"'),
        ("FROM pol", "-c: Table with name pol does not exist!"),
        ("SELECT rwo FROM pool", '-c: Referenced column "rwo" not found'),
        ("FROM evaluation", "-c: no rows. Not there: out/evaluation.parquet. Run `dvc repro`"),
    ],
)
def test_a_mistake_in_a_statement_is_one_message(out, statement, message):
    (out / "evaluation.parquet").unlink()
    found = mistake(answer_statement, statement, OUT)
    assert message in found
    assert "\n" not in found


def test_a_recipe_and_a_statement_at_once_are_refused(out):
    message = mistake(main, Path("sql/chosen_by.sql"), [], "SELECT 1", [])
    assert message == "both a recipe and -c are given. Remove one."


def test_chosen_rows_that_overlap_need_no_recipe_of_their_own(out):
    (out / "selection.parquet").unlink()  # the whole pool's are asked for: none is needed
    assert len(answer("contaminated")) == 3


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
    with pytest.raises(InputError, match="no task of `evaluation` has another with `_pot`"):
        answer("hybrid")

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
        ("overlap", {}, "expected two runs or more that have chosen rows. Add"),
        ("disagreements", {}, "expected two runs that have chosen rows. Add --run RUN twice to"),
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
    message = (
        r"hardest_tests.sql: no rows. Not there: out/evaluation.parquet. Run `dvc repro` first"
    )
    with pytest.raises(InputError, match=message):
        answer("hardest_tests")


def test_values_without_a_name_are_refused(out):
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


def test_an_unknown_column_is_answered_with_those_of_the_views(out):
    message = mistake(answer_statement, "SELECT scor FROM evaluation", OUT)
    assert message.endswith(f" `evaluation` has: run, {', '.join(tables.schema('evaluation'))}.")
