"""`dataselect compare` and `dataselect runs` on what DVC itself has written."""

import json

import pytest

from tests.helpers import run
from tests.test_pipeline import SETTINGS, small_project

pytestmark = [pytest.mark.slow, pytest.mark.torture, pytest.mark.xdist_group("real_experiments")]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two experiments that ran, one that failed, one that waits; the last run is the workspace."""
    few = {**SETTINGS["eval"], "limit": 3, "before": False}
    home = small_project(tmp_path_factory.mktemp("project"), eval=few, method="random")
    stores = tmp_path_factory.mktemp("stores")
    run("git", "init", "--quiet", "--bare", "git", cwd=stores)
    run("git", "remote", "add", "origin", str(stores / "git"), cwd=home)
    run("dvc", "remote", "add", "-d", "shared", str(stores / "dvc"), cwd=home)
    run("git", "commit", "--quiet", "--all", "--message", "a remote", cwd=home)
    run("git", "push", "--quiet", "origin", "HEAD", cwd=home)
    run("dvc", "exp", "run", "--name", "one", cwd=home)
    run("git", "checkout", "HEAD", "--", ".", cwd=home)
    queue = ["dvc", "exp", "run", "--queue", "--name"]
    run(*queue, "broken", "-S", "budget=100000", cwd=home)
    run("dvc", "exp", "run", "--run-all", cwd=home, check=False)
    run(*queue, "waiting", "-S", "budget=30", cwd=home)
    run("dvc", "exp", "run", "--name", "two", "-S", "method=longest", "-S", "seed=1", cwd=home)
    return home


def command(project, *arguments, check=True):
    """`dataselect`, with the code in the project."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(project / "src"))
        return run("dataselect", *arguments, cwd=project, check=check)


def test_each_run_has_its_own_scores(project):
    printed = command(project, "runs").stdout
    rows = {words[0]: words for line in printed.splitlines() if (words := line.split())}
    scores = json.loads((project / "metrics/eval.json").read_text())["mean"]
    shown = f"{scores['score']:.3f}", f"{scores['answer_nll_nats']:.3f}"
    assert rows["two"][1:6] == ["longest", "20", "1", *shown]
    assert rows["workspace"][1:6] == rows["two"][1:6]
    assert rows["one"][1:4] == ["random", "20", "0"]
    assert rows["one"][5] != rows["two"][5]
    assert rows["broken"] == ["broken", "random", "100000", "0", "failed", "–", "–"]
    assert rows["waiting"] == ["waiting", "random", "30", "0", "queued", "–", "–"]


def test_what_ran_is_compared_and_the_rest_named(project):
    status = run("git", "status", "--porcelain", cwd=project).stdout
    found = json.loads(command(project, "compare", "--json", "--per-task").stdout)
    rows = {row["method"]: row for row in found["scores"] if row["task"] == "mean over tasks"}
    assert {method: row["runs"] for method, row in rows.items()} == {
        "random": ["one"],
        "longest": ["two"],  # the workspace is the same run
    }
    scores = json.loads((project / "metrics/eval.json").read_text())["mean"]
    assert rows["longest"]["score"] == pytest.approx(scores["score"], abs=1e-6)
    loss = rows["longest"]["answer_nll_nats"]
    assert loss == pytest.approx(scores["answer_nll_nats"], abs=1e-5)
    cost = json.loads((project / "metrics/cost.json").read_text())
    assert rows["longest"]["flops"] == cost["flops"]["tokens"]["total"]
    notes = " ".join(found["notes"])
    assert "broken is left out: it failed" in notes
    assert "waiting is left out: it has not started" in notes
    assert run("git", "status", "--porcelain", cwd=project).stdout == status


def test_experiments_are_asked_in_sql(project):
    both = ("--run", "one", "--run", "b=two")
    printed = command(project, "sql", "sql/overlap.sql", *both).stdout
    assert "all sources" in printed
    count = "SELECT run, count(*) FROM selection GROUP BY run ORDER BY run"
    lines = command(project, "sql", "-c", count, *both).stdout.splitlines()
    assert [line.split() for line in lines if line.split()][1:] == [["b", "20"], ["one", "20"]]
    assert "broken: it failed" in command(project, "sql", "--run", "broken", check=False).stderr


def test_outputs_that_are_gone_come_back_from_a_remote(project):
    run("dvc", "exp", "push", "origin", "one", cwd=project)
    lock = run("git", "show", f"{experiment(project, 'one')}:dvc.lock", cwd=project).stdout
    digest = lock.partition("- path: out/evaluation.parquet")[2].split("md5: ")[1].split()[0]
    cached = project / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    cached.unlink()
    refused = command(project, "compare", "one", "two", check=False)
    assert refused.returncode == 1
    assert "gone from DVC's cache" in refused.stderr
    assert "Traceback" not in refused.stderr
    run("dvc", "exp", "pull", "origin", "one", cwd=project)
    assert cached.is_file()
    command(project, "compare", "one", "two")


def experiment(project, name):
    """The commit of an experiment."""
    listed = ("git", "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}")
    return run(*listed, cwd=project).stdout.strip()
