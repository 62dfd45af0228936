"""A sweep under DVC: killed, gone on with, and what DVC and `dataselect compare` see of it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from tests.fork_server import client_folder
from tests.helpers import run
from tests.test_pipeline import SETTINGS, small_project

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "dataselect.cli", "sweep")
FEW = {**SETTINGS["eval"], "limit": 1, "before": False}
OWN = str(Path(sys.executable).parent)
PATH = os.pathsep.join([client_folder() if hasattr(os, "fork") else OWN, OWN, os.environ["PATH"]])


def started(project, *arguments):
    """A sweep in a group of processes of its own."""
    own = str(project / "src")
    environment = {**os.environ, "PATH": PATH, "PYTHONPATH": own}
    return subprocess.Popen(
        [*COMMAND, "few.yaml", *arguments], cwd=project, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finished(project, *arguments):
    """What a sweep prints, and its status."""
    process = started(project, *arguments)
    printed, _ = process.communicate()
    return printed, process.returncode


def references(project):
    listed = run("git", "for-each-ref", "--format=%(refname)", "refs/exps", cwd=project).stdout
    return [name.rpartition("/")[2] for name in listed.split()]


def states(project):
    """Name → method, budget and seed of every experiment, as DVC lists them."""
    shown = json.loads(run("dvc", "exp", "show", "--json", cwd=project).stdout)
    return {
        experiment["name"]: experiment["revs"][0]["data"]["params"]["params.yaml"]["data"]
        for row in shown
        for experiment in row.get("experiments") or []
    }


def test_a_killed_sweep_goes_on_and_ends_with_named_experiments(tmp_path):
    project = small_project(tmp_path, eval=FEW)
    few = "{methods: [rds], budgets: [10, 20], seeds: [1], set: {train.epochs: 1}}"
    (project / "few.yaml").write_text(few)
    process = started(project)
    while process.poll() is None and not references(project):
        time.sleep(0.1)
    time.sleep(random.Random(0).uniform(0, 3))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert references(project)
    assert run("git", "status", "--porcelain", cwd=project).stdout == "?? few.yaml\n"
    before = set(references(project))
    printed, status = finished(project)
    assert status == 0, printed
    assert f"2 runs, {2 - len(before)} of them to be run" in printed
    names = [f"few-rds-{budget}-1" for budget in (10, 20)]
    assert sorted(references(project)) == sorted(names)
    found = states(project)
    assert {name: (p["method"], p["budget"], p["seed"], p["train"]["epochs"])
            for name, p in found.items()} == {
        f"few-rds-{budget}-1": ("rds", budget, 1, 1) for budget in (10, 20)
    }  # fmt: skip
    assert run("git", "status", "--porcelain", cwd=project).stdout == "?? few.yaml\n"
    assert not list((project / ".dvc/tmp/sweep").glob("copy-*"))
    selections = {}
    for name in names:  # a larger selection of one score contains the smaller
        run("dvc", "exp", "apply", name, cwd=project)
        run("dvc", "checkout", "--quiet", "dvc.yaml", cwd=project)
        selections[name] = pl.read_parquet(project / "out/selection.parquet")["id"].to_list()
    assert selections[names[1]][:10] == selections[names[0]]
    run("git", "checkout", "--quiet", ".", cwd=project)
    printed, status = finished(project)
    assert (status, "All runs are done" in printed) == (0, True)
    (project / "few.yaml").write_text(few.replace("epochs: 1", "epochs: 2"))
    printed, status = finished(project)
    assert status == 1
    assert "have other settings in params.yaml than the sweep" in printed


@pytest.mark.torture
def test_a_hundred_short_runs_with_four_workers_lose_none(tmp_path):
    """DVC's writes to the cache are one at a time; no stage is handed a file half written."""
    project = small_project(tmp_path, eval=FEW)
    few = "{methods: [random, longest, random_balanced, rds], budgets: [5, 6, 7, 8, 9], seeds: "
    (project / "few.yaml").write_text(few + "[0, 1, 2, 3, 4], set: {train.epochs: 1}}")
    printed, status = finished(project, "--workers", "4")
    assert status == 0, printed
    assert len(references(project)) == 100
    compared = run(sys.executable, "-m", "dataselect.cli", "compare", "--csv", cwd=project).stdout
    assert compared
    printed, status = finished(project)
    assert "All runs are done" in printed
