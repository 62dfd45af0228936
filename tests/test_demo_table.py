"""The table at the end of `make repro`."""

import json

import pytest
from benchmarks import demo_table

from dataselect.data import tables
from tests.helpers import ROOT, run, table

LABEL = {"method": "rds", "budget": 300, "seed": 0}
MEAN = {"score": 0.5, "score_stderr": 0.1, "answer_nll_nats": 2.0, "answer_nll_nats_stderr": 0.3}


@pytest.fixture
def run_outputs(in_scratch):
    """The outputs of a run on another pool than the demo's."""
    plan = {"eval": {"run": LABEL}, "dedup": {"pool": [{"path": "own.jsonl", "md5": ""}]}}
    (in_scratch / "plan.json").write_text(json.dumps(plan))
    (in_scratch / "metrics").mkdir()
    write_scores(in_scratch, LABEL)
    rows = [("t", "1", "exact_match", 1.0, 4.0, "x", False)]
    rows += [("t", "2", "exact_match", 0.0, 2.0, "y", False)]
    tables.write("evaluation", table("evaluation", rows), in_scratch / "out/baseline.parquet")
    return in_scratch


def write_scores(home, label):
    (home / "metrics/eval.json").write_text(json.dumps({"run": label, "mean": MEAN, "tasks": {}}))


def test_a_run_stands_beside_the_model_before_training(run_outputs):
    assert demo_table.comparison_rows() == [
        ("this run", 0.5, 0.1, 2.0),
        ("before training", 0.5, 0.5, 3.0),
    ]


def test_scores_of_an_earlier_run_are_named_so(run_outputs):
    write_scores(run_outputs, {**LABEL, "method": "random"})
    names = [row[0] for row in demo_table.comparison_rows()]
    assert names[0] == "an earlier run (random, budget 300, seed 0)"


def test_without_a_baseline_there_is_no_row_of_it(run_outputs):
    tables.write("evaluation", tables.empty("evaluation"), run_outputs / "out/baseline.parquet")
    assert len(demo_table.comparison_rows()) == 1


def test_what_is_missing_is_named(in_scratch):
    with pytest.raises(SystemExit, match=r"plan\.json is not there. Run `dvc repro` first"):
        demo_table.main()


def test_the_committed_runs_are_averaged_over_their_seeds():
    rows = demo_table.benchmark_rows(ROOT / demo_table.DEMO)
    named = {row[0]: row[1:] for row in rows}
    runs = json.loads((ROOT / demo_table.DEMO).read_text())["runs"]
    scores = [run["scores"]["mean"]["score"] for run in runs if run["method"] == "rds"]
    assert named[f"rds ({len(scores)} seeds)"][0] == pytest.approx(sum(scores) / len(scores))


def test_what_a_run_changed_of_the_committed_results_is_named(run_outputs):
    assert demo_table.changed_files() == []  # no repository
    for command in (
        ("init", "--quiet"),
        ("config", "user.email", "test@dataselect.invalid"),
        ("config", "user.name", "test"),
        ("add", "plan.json", "metrics"),
        ("commit", "--quiet", "--message", "a run"),
    ):
        run("git", *command, cwd=run_outputs)
    assert demo_table.changed_files() == []
    write_scores(run_outputs, {**LABEL, "method": "random"})
    (run_outputs / "notes.txt").write_text("mine")
    assert demo_table.changed_files() == ["metrics/eval.json"]
    assert not demo_table.same_scores()
    scores = {"run": LABEL, "mean": MEAN, "tasks": {}, "seconds": 7.5}
    (run_outputs / "metrics/eval.json").write_text(json.dumps(scores))
    assert demo_table.changed_files() == ["metrics/eval.json"]
    assert demo_table.same_scores()
