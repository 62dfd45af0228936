"""A made-up project, and its runs; runs in folders, with all that figures read."""

import pytest
from benchmarks.made_up_runs import MadeUp, make_project

from dataselect.compare.find_runs import all_runs, named_runs
from tests.figures.made_up import RUNS
from tests.figures.made_up_outputs import write_run


@pytest.fixture(scope="session")
def made_up_project(tmp_path_factory):
    """A DVC project with the made-up runs; nothing may be written into it."""
    home = tmp_path_factory.mktemp("figures") / "project"
    make_project(home, RUNS[0], RUNS[1:])
    return home


@pytest.fixture
def runs(made_up_project, monkeypatch):
    """The runs of the made-up project, which is the working directory."""
    monkeypatch.chdir(made_up_project)
    return [run for run in all_runs() if run.name != "workspace"]


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Names of runs in folders: three methods, two seeds, and one of them of a larger pool."""
    home = tmp_path_factory.mktemp("folders")
    tasks = {"addition": 40, "gsm8k": 40}
    names = {}
    for method in ("random", "rds", "s2l"):
        for seed in (0, 1):
            run = MadeUp(f"{method}-{seed}", method, budget=60, seed=seed, tasks=tasks)
            names[run.name] = write_run(home / run.name, run)
    large = MadeUp("large", "rds", budget=60, gain=0.2, tasks=tasks)
    names["large"] = write_run(home / "large", large, rows=700)
    return names


@pytest.fixture(scope="session")
def small_pool(folders):
    """The runs in folders of one pool."""
    return named_runs([name for run, name in folders.items() if run != "large"])
