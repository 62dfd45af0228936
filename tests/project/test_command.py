"""The command `dataselect init`, as a user types it."""

import re

import pytest
import yaml

from dataselect import __version__
from tests.helpers import ROOT, run

PAGE = (ROOT / "docs/new-project.md").read_text()
COMMANDS = re.findall(r"^dataselect init.*$", PAGE, re.M)


@pytest.fixture
def bash(monkeypatch):
    """Runs a line in a folder; returns what it prints and its status."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))

    def type_line(line, folder, check=True):
        return run("bash", "-c", line, cwd=folder, check=check)

    return type_line


@pytest.mark.slow
def test_the_commands_of_the_page(user, bash):
    plain, with_files, update, apply = COMMANDS
    (user / "empty").mkdir()
    bash(plain, user / "empty")
    assert (user / "empty/.git").is_dir()
    run("git", "init", "--quiet", cwd=user)
    (user / "data").mkdir()
    (user / "pool.jsonl").rename(user / "data/pool.jsonl")
    assert "data/pool.jsonl" in bash(with_files, user).stdout
    params = yaml.safe_load((user / "params.yaml").read_text())
    assert params["pool"]["path"] == "data/*.jsonl"
    assert params["budget"] == "5%"
    for line in (update, apply):
        assert f"version {__version__}; installed: {__version__}" in bash(line, user).stdout


@pytest.mark.slow
def test_a_mistake_is_a_message_without_a_traceback(user, bash):
    done = bash("dataselect init project --pool none.jsonl", user, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("dataselect init: --pool: `none.jsonl`: there is no such")
    assert "Traceback" not in done.stderr
    assert bash("dataselect --version", user).stdout == f"dataselect {__version__}\n"
