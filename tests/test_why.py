"""`dataselect why`: what it says of rows of a small run, worked by hand."""

import json
import os
import subprocess
import sys

import pytest

from dataselect.ask import why
from dataselect.ask.page import Table
from dataselect.ask.run_files import RunFiles
from dataselect.compare.outputs import md5
from dataselect.data import tables
from tests.helpers import ROOT, mistake
from tests.small_run import NEVER, write


@pytest.fixture
def run(out):
    """The small run, chosen by round-robin: a1 (q0), b0 (q1), a0 (q0)."""
    plan(out, "round_robin")
    return RunFiles(out)


def plan(out, aggregator, budget=3, mix=None):
    part = {"name": aggregator, "settings": {}}
    section = {"aggregator": part, "budget": budget, "mix": mix, "code": "", "tokenizer": None}
    (out.parent / "plan.json").write_text(json.dumps({"aggregate": section}))


def explain(wanted, run, top=5):
    """The paragraphs as one text, and the tables by title."""
    page = why.explain(wanted, run, top)
    text = "\n".join(part for part in page if isinstance(part, str))
    return text, {part.title: part.rows for part in page if isinstance(part, Table)}


def test_a_chosen_row(run):
    text, found = explain("a0", run)
    assert text.splitlines() == [
        "Row 0 of the pool: `a0`, source `alpha`",
        "  What is 1+1?",
        "→ two",
        "It was chosen, as number 3 of 3.",
        "The group `q0` took it in round 2, turn 3 of all: score 0.5000, rank 2 there.",
        "Before it in `q0` rank 1: 1 chosen by `q0`, 0 not chosen.",
        "A budget of 3 rows takes it, and every larger one.",
    ]
    assert found["Its place in the groups"] == [("q0", 0.5, 2, 1, 1), ("q1", 0.25, 3, 1, 1)]
    assert found["Chosen before it by `q0`"] == [("[b]What[/b] is 1+2?", 1, 0.75, "a1")]
    assert found["The queries it is nearest to"] == [
        ("4+4?", 0.5, "sum", "q0"),
        ("Sing!", 0.25, "song", "q1"),
    ]


@pytest.mark.parametrize(("wanted", "budget", "round_"), [("b1", 4, 2), ("a2", 5, 3)])
def test_a_row_that_was_not_chosen(run, wanted, budget, round_):
    text, found = explain(wanted, run)
    assert "It was not chosen. 3 rows were." in text
    assert f"would have been the first to offer it, in round {round_}, turn " in text
    assert f"A budget of {budget} rows takes it, and every larger one; 3 were chosen." in text
    assert "Its place in the groups" in found


def test_what_stood_in_front_of_it(run):
    text, found = explain("a2", run)
    assert "Before it in `q0` rank 2: 2 chosen by `q0`, 0 not chosen." in text
    assert [row[-1] for row in found["The last that were chosen by `q0`"]] == ["a1", "a0"]
    assert found["Its place in the groups"][0] == ("q0", 0.25, 3, 2, 2)


def test_a_row_by_its_number_and_an_id_that_is_a_number(run):
    assert explain("2", run) == explain("a2", run) == explain("#2", run)
    pool = tables.read("pool", run.path("pool"))
    ids = ["2", *pool["id"][1:]]
    tables.write("pool", pool.with_columns(id=tables.pl.Series(ids)), run.path("pool"))
    assert explain("2", run)[0].startswith("Row 0 of the pool: `2`")
    assert explain("#2", run)[0].startswith("Row 2 of the pool: `a2`")


def test_a_row_without_a_score_is_no_candidate(run):
    text, found = explain("c0", run)
    assert text.endswith("It has no score: the method rules it out. No budget takes it.")
    assert found == {}


def test_a_choice_by_the_best_score(run, out):
    plan(out, "top")
    text, _ = explain("b1", run)
    assert "By its best score over all groups, 0.5000, it is number 4 of all rows." in text
    assert "A budget of 4 rows takes it, and every larger one; 3 were chosen." in text


def test_a_mean_over_tasks_needs_a_score_in_every_task(run, out):
    plan(out, "mean_over_tasks")
    assert "No budget takes it." in explain("a1", run)[0]
    text, _ = explain("b1", run)
    assert "By its mean score over the tasks, 0.3750, it is number 3 of all rows." in text


@pytest.mark.parametrize(
    ("aggregator", "given", "reason"),
    [
        ("round_robin", {"mix": {"sources": {"alpha": 2}}}, "quotas, weights or a budget in"),
        ("round_robin", {"budget": {"tokens": 9}}, "quotas, weights or a budget in tokens"),
        ("round_robin", {"budget": 4}, "no plan.json is beside the outputs"),
    ],
)
def test_where_the_budget_is_not_known_it_says_why(run, out, aggregator, given, reason):
    plan(out, aggregator, **given)
    assert f"Which budget takes it is not known: {reason}" in explain("b1", run)[0]


def test_a_share_of_the_pool_is_a_budget_too(run, out):
    plan(out, "round_robin", budget="50%")
    assert "A budget of 4 rows takes it" in explain("b1", run)[0]


def test_a_duplicate_names_the_first_row_and_its_own_place(run):
    write("dropped", [
        ("a9", "alpha", "duplicate", "a1", "pool.jsonl:9"),
        ("a8", "alpha", "near-duplicate", "a2, similarity 0.91", "pool.jsonl:8"),
        ("a7", "alpha", "bad row", "no messages", None),
    ])  # fmt: skip
    assert explain("a9", run) == (
        "`a9`, source `alpha`, is not in the pool: duplicate. It stands at pool.jsonl:9.\n"
        "The first such row, which stayed, is `a1`, row 1 of the pool: number 1 of the chosen "
        "rows.",
        {},
    )
    near = explain("a8", run)[0]
    assert "It stands at pool.jsonl:8.\nNear: a2, similarity 0.91. That row is `a2`" in near
    assert near.endswith("row 2 of the pool: not chosen.")
    assert explain("a7", run)[0].endswith("not in the pool: bad row.\nIn detail: no messages.")


def test_rows_that_overlap_tests(run):
    assert explain("a1", run)[1]["It overlaps 1 tests; what matches:"] == [
        ("[b]what is 6", 0.75, "sum", "t1")
    ]
    text, found = explain("a8", run)  # left out before this run's pool was made
    assert (text, list(found)) == ("", ["It overlaps 1 tests; what matches:"])


def test_rows_with_the_same_id_that_were_left_out(run):
    write("dropped", [("a0", "alpha", "duplicate", "a0", f"pool.jsonl:{i}") for i in range(8)])
    text, _ = explain("a0", run)
    assert "A row with the same id is not in the pool: duplicate. It stands at pool.jso" in text
    assert text.endswith("3 more rows with this id were left out.")


def test_a_run_without_scores_says_what_is_known(run, out):
    (out / "scores.parquet").unlink()
    text, found = explain("a0", run)
    assert "It was chosen, as number 3 of 3." in text
    assert text.endswith("There are no scores here, so its rank in the groups is not known.")
    assert found == {}


def test_an_empty_selection_and_none(run, out):
    tables.write("selection", tables.empty("selection"), out / "selection.parquet")
    assert "No row was chosen at all." in explain("a0", RunFiles(out))[0]
    (out / "selection.parquet").unlink()
    assert "There is no selection here" in explain("a0", RunFiles(out))[0]


def test_a_row_that_is_in_one_cluster_only(run, out):
    groups = [(0, "cluster 0", None, "alpha"), (1, "cluster 1", None, "beta")]
    write("groups", groups)
    write(
        "scores",
        [(i, f"a{i}", i % 2, [float(i)]) for i in range(5)] + [(5, "c0", 1, [NEVER])],
        score=tables.pl.Array(tables.pl.Float32, 1),
    )
    plan(out, "nested_fill")
    text, found = explain("a2", RunFiles(out))
    assert "The group `cluster 0` is the one in which it ranks best: score 2.0000, rank 2" in text
    assert "A budget of " in text
    assert [row[0] for row in found["Its place in the groups"]] == ["cluster 0"]


@pytest.mark.parametrize("wanted", ["a00", "6", "#7", "-1"])
def test_an_unknown_row_names_near_ones(run, wanted):
    message = mistake(why.explain, wanted, run, 5)
    start = f"no row of the pool, and none that was left out, has the id `{wanted}`."
    assert message.startswith(start)
    assert message.endswith("Give an id, or a row's number, from 0 to 5.")
    assert ("Near: `a0`. " in message) == (wanted == "a00")


def test_without_a_pool_the_message_says_what_to_do(in_scratch):
    assert "out/pool.parquet is not there" in mistake(why.main, "a0", in_scratch / "out", 5)


def test_it_fits_into_80_columns(run, out, capsys):
    long = "word " * 60
    write("queries", [("sum", "q0", [{"role": "user", "content": long}], None)])
    why.main("a0", out, 5)
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= 80
    assert "…" in printed


@pytest.mark.slow
def test_the_command_ends_a_mistake_with_one_message(run, out):
    def command(*words):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        words = [sys.executable, "-m", "dataselect.cli", "why", *words]
        return subprocess.run(
            words, cwd=out.parent, env=environment, capture_output=True, text=True, check=False
        )

    done = command("a0")
    assert (done.returncode, done.stderr) == (0, "")
    assert "It was chosen, as number 3 of 3." in done.stdout
    done = command("zz")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("\ndataselect why: no row of the pool")


def test_outputs_of_another_run_than_that_of_the_lock_file_come_with_a_warning(run):
    assert run.note is None  # no lock file: nothing to compare with
    home, path = run.folder.absolute().parent, run.path("selection")
    section = json.loads((home / "plan.json").read_text())
    chosen = {"method": "rds", "budget": 3, "seed": 0}
    section |= {"eval": {"run": chosen, "model": {"name": "m"}}}
    before = ("dedup", "reference", "embed", "score")
    section |= {stage: {} for stage in (*before, "train")}
    (home / "plan.json").write_text(json.dumps(section))

    def lock(digest):
        stages = {name: {"cmd": "x", "params": {"plan.json": {name: {}}}} for name in before}
        listed = {"path": "out/selection.parquet", "md5": digest}
        aggregate = {"plan.json": {"aggregate": section["aggregate"]}}
        stages["aggregate"] = {"cmd": "x", "params": aggregate, "outs": [listed]}
        (home / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))

    lock(md5(path.read_bytes()))
    assert run.note is None
    lock("0" * 32)
    assert "is not of the run that plan.json and dvc.lock are of" in run.note


def test_signs_that_steer_a_terminal_are_shown(run, capsys):
    rows = tables.read("pool", run.path("pool")).to_dicts()
    rows[0]["messages"][0]["content"] = rows[1]["messages"][0]["content"] = "\x1b[2Jgone"
    write("pool", [tuple(row.values()) for row in rows])
    why.main("a0", run.folder, 5)
    printed = capsys.readouterr().out
    assert "␛[2Jgone" in printed
    assert "\x1b[2J" not in printed
