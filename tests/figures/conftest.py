"""A made-up project, and its runs."""

import pytest
from benchmarks.made_up_runs import make_project

from dataselect.compare.find_runs import all_runs
from tests.figures.made_up import RUNS


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
