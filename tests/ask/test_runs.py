"""Which outputs the words of a user name."""

import json

import pytest
from benchmarks.made_up_runs import MadeUp, git, keep, make_project

from dataselect.ask.recipe import answer_statement, run_recipe
from dataselect.ask.runs import run_outputs
from tests.helpers import ROOT, mistake

RUNS = [MadeUp("first"), MadeUp("second", "rds", seed=1, gain=0.3, before=-0.3)]
SCORES = "SELECT run, round(avg(value), 3) FROM evaluation GROUP BY run ORDER BY run"


def test_folders_of_outputs_and_of_projects(out):
    assert {name: str(path) for name, path in run_outputs([]).items()} == {"out": "out"}
    runs = run_outputs([f"a={out}", f"b={out.parent}", "out", "workspace=out"])
    assert runs == {
        "a": out,
        "b": out,
        "out": out.relative_to(out.parent),
        "workspace": out.relative_to(out.parent),
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["=out"], "--run =out: expected RUN or NAME=RUN."),
        (["a="], "--run a=: expected RUN or NAME=RUN. Write --run a=…"),
        (["a=out", "a=out"], "another run is called `a`. Change one name."),
        (["a=gone"], "not a DVC project"),
        (["a=sql"], "sql: no outputs of a run, such as selection.parquet, are there"),
    ],
)
def test_mistakes(out, given, message):
    assert message in mistake(run_outputs, given)


@pytest.fixture
def project(out):
    """A made-up DVC project with an experiment, around the outputs of a small run."""
    make_project(out.parent, RUNS[0], RUNS[1:])
    return out.parent


def test_experiments_and_revisions_are_read_from_the_cache(project):
    runs = run_outputs(["new=second", "main", "out"])
    means = {run.name: run.evaluation()["value"].mean() for run in RUNS}
    assert answer_statement(SCORES, runs).rows == [
        ("main", round(means["first"], 3)), ("new", round(means["second"], 3)), ("out", 0.25),
    ]  # fmt: skip
    baseline = "SELECT DISTINCT run FROM baseline"
    assert answer_statement(baseline, runs).rows == [("new",)]
    assert run_outputs(["workspace"])["workspace"] == project.joinpath("out").relative_to(project)
    assert "Did you mean `second`?" in mistake(run_outputs, ["secnd"])
    assert list(run_outputs(["sec*", "main"])) == ["second", "main"]
    # What this run has not kept: no rows, and which file that would be.
    message = mistake(answer_statement, "FROM selection", run_outputs(["second"]))
    assert message == "-c: no rows. Not there: …/selection.parquet. Name runs that have them."


def test_outputs_that_are_gone_from_the_cache(project):
    keep(project, RUNS[1]).unlink()
    runs = run_outputs(["main", "second"])
    message = mistake(answer_statement, SCORES, runs)
    assert "-c: gone from DVC's cache: evaluation.parquet of second. Bring it" in message
    assert answer_statement("SELECT DISTINCT run FROM baseline", runs).rows == [("second",)]
    assert "gone from" in mistake(run_recipe, ROOT / "sql/hardest_tests.sql", [], runs)


def test_runs_that_failed_or_have_not_finished(project):
    base = git(project, "rev-parse", "HEAD")
    identity = ("-c", "user.name=a", "-c", "user.email=a@invalid")
    for name, stash in (("broken", "failed"), ("waiting", "stash")):
        words = ("--create-reflog", "-m", f"commit: dvc-exp:{base}:{base}:{name}")
        git(project, *identity, "update-ref", *words, f"refs/exps/celery/{stash}", base)
    busy = project / f".dvc/tmp/exps/run/busy/{base}.run"
    busy.parent.mkdir(parents=True)
    noted = {"status": 2, "name": "busy", "baseline_rev": base, "location": "dvc-task"}
    busy.write_text(json.dumps(noted))
    assert "broken: it failed: `dvc queue logs NAME` says why." in mistake(run_outputs, ["broken"])
    assert "waiting: it has not started" in mistake(run_outputs, ["a=waiting"])
    assert "busy: it is running" in mistake(run_outputs, ["busy"])


def test_of_a_run_that_stopped_what_has_finished_is_there(project):
    """Training is planned anew and has not run: its pool is the plan's, its scores are not."""
    plan = RUNS[1].plan()
    plan["train"]["recipe"]["learning_rate"] = 7.0
    files = RUNS[1].files() | {"plan.json": json.dumps(plan).encode()}
    for path, content in files.items():
        (project / path).write_bytes(content)
    git(project, "add", "plan.json", "dvc.lock")
    git(project, "-c", "user.name=a", "-c", "user.email=a@invalid", "commit", "-qm", "stopped")
    (files,) = run_outputs(["HEAD"]).values()
    assert set(files) == {"pool.parquet", "baseline.parquet"}


def test_a_folder_that_is_no_project_has_the_packages_views(out, monkeypatch):
    (out.parent / "sql").rename(out.parent / "elsewhere")
    assert answer_statement("SELECT count(*) FROM selection", run_outputs([])).rows == [(3,)]
    monkeypatch.chdir("elsewhere")
    (answer,) = answer_statement("SELECT count(*) FROM pool", {"out": out}).rows
    assert answer == (6,)
