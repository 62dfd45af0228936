"""The clone in which a sweep runs: what an experiment holds, and what a kill may leave."""

import os
from unittest.mock import Mock

import pytest
import yaml
from tests.helpers import ROOT, mistake, run

from dataselect.sweep.order import Planned
from dataselect.sweep.repository import Repository, git
from dataselect.sweep.settings import Member
from dataselect.sweep.workspace import RunFailed, Workspace, recorded_files, remove_workspaces

STAGES = {"stages": {"a": {"outs": ["out/x", {"plan.json": {"cache": False}}],
                           "metrics": [{"metrics/m.json": {"cache": False}}]}}}  # fmt: skip


def hide_changes(folder):
    """Makes git take params.yaml for unchanged: the change left its size and second.

    DVC rewrites git's index without the mark that git gives such files.
    """
    git(folder, "config", "core.trustctime", "false")
    noted = git(folder, "ls-files", "--debug", "params.yaml")
    seconds = int(noted.partition("mtime: ")[2].partition(":")[0])
    os.utime(folder / "params.yaml", (seconds, seconds))
    os.utime(folder / ".git/index", (seconds + 5, seconds + 5))
    assert git(folder, "diff-files", "--name-only") == ""


def test_what_dvc_does_not_keep_is_in_git():
    found = recorded_files(ROOT)
    assert {"dvc.lock", "plan.json", "metrics/eval.json", "metrics/plots/scores.json"} < {*found}
    assert not [name for name in found if name.startswith("out/")]


def test_a_run_becomes_an_experiment_of_the_commit(in_scratch, monkeypatch):
    run("git", "init", "--quiet", cwd=in_scratch)
    run("git", "config", "user.email", "test@dataselect.invalid", cwd=in_scratch)
    run("git", "config", "user.name", "test", cwd=in_scratch)
    (in_scratch / ".dvc/tmp").mkdir(parents=True)
    (in_scratch / ".dvc/config").write_text("")
    (in_scratch / ".gitignore").write_text("/.dvc/tmp\n")
    (in_scratch / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (in_scratch / "params.yaml").write_text("seed: 0  # of draws\n")
    run("git", "add", "--all", cwd=in_scratch)
    run("git", "commit", "--quiet", "--message", "a project", cwd=in_scratch)
    head = git(in_scratch, "rev-parse", "HEAD").strip()
    workspace = Workspace(0, Repository(in_scratch, "", head), 0, shared=False)
    called = []

    def call(log, *arguments):
        called.append(arguments[0])
        if arguments[0] == "repro":
            (workspace.project / "plan.json").write_text("{}")
            (workspace.project / "notes").write_text("of the run alone")
            hide_changes(workspace.folder)

    monkeypatch.setattr(workspace, "_call", call)
    workspace.make(in_scratch / "log")
    reference = f"refs/exps/{head[:2]}/{head[2:]}/s-random-3-1"
    lock = in_scratch / ".git" / f"{reference}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()  # of a git that was killed
    member = Member("s-random-3-1", "random", {"seed": 1}, (0, 0, 0))
    for _ in range(2):  # again, after a change of files that git does not track
        workspace.run(Planned(member, {}, None, {}), in_scratch / "log")
    assert called == ["config", "checkout", "repro", "repro"]
    shown = git(in_scratch, "show", "--name-only", "--format=%P", reference).split()
    assert shown == [head, "params.yaml", "plan.json"]
    assert git(in_scratch, "show", f"{reference}:params.yaml") == "seed: 1  # of draws\n"
    assert git(in_scratch, "status", "--porcelain") == ""
    remove_workspaces("")
    assert not workspace.folder.exists()
    monkeypatch.setattr(workspace, "_call", raising := Mock(side_effect=RunFailed("no space")))
    assert "DVC does not work in a copy of the last commit: no space. Fix" in mistake(
        workspace.make, in_scratch / "log"
    )
    assert raising.call_count == 1


def test_after_a_stop_nothing_starts_there(in_scratch):
    workspace = Workspace(0, Repository(in_scratch, "", "head"), 0, shared=False)
    workspace.stop()
    with pytest.raises(KeyboardInterrupt):
        workspace._call(in_scratch / "log", "version")
    assert workspace.process is None


@pytest.mark.parametrize(("status", "error"), [(130, KeyboardInterrupt), (1, RunFailed)])
def test_a_stage_that_ctrl_c_ended_stops_the_sweep(status, error, in_scratch):
    workspace = Workspace(0, Repository(in_scratch, "", "head"), 0, shared=False)
    workspace.project.mkdir(parents=True)
    (in_scratch / "lock").touch()
    with (in_scratch / "lock").open() as lock:
        workspace._lock = lock.fileno()
        workspace._dvc = ["sh", "-c", f"echo 'ERROR: x, exited with {status}'; exit 255"]
        with pytest.raises(error):
            workspace._call(in_scratch / "log", "repro")
