"""The user's git repository, from which a sweep's experiments start and to which they return."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dataselect import report
from dataselect.compare import revisions
from dataselect.errors import InputError, first_few

#: Where a sweep works; DVC has the folder ignored by git.
HOME = Path(".dvc/tmp/sweep")

#: Files without which there is no run.
SETTINGS = ("dvc.yaml", "params.yaml", "methods.yaml")

#: Files in git that the pipeline itself writes: they may differ from the commit.
WRITTEN = ("plan.json", "dvc.lock", "metrics/")


class Repository(NamedTuple):
    """Where a sweep starts.

    Attributes:
        root: the repository's folder.
        below: the project's folder in it, as `part/project`; empty where it is the root.
        head: the commit that the experiments belong to.
    """

    root: Path
    below: str
    head: str


def open_repository() -> Repository:
    """The repository of the working directory, which must be as its last commit has it.

    Raises:
        InputError: no DVC project in a git repository, no commit, or changes that are in none.
    """
    revisions.check_project()
    head = revisions.resolve("HEAD")
    if head is None:
        raise InputError(
            f"{Path.cwd()}: git has no commit yet, and an experiment belongs to one. Run `git add "
            "--all` and `git commit`."
        )
    root = Path(git(Path(), "rev-parse", "--show-toplevel").strip())
    below = git(Path(), "rev-parse", "--show-prefix").strip()
    absent = [name for name, text in revisions.read_files([head], SETTINGS)[0].items() if not text]
    if absent:
        raise InputError(
            f"git does not have {', '.join(absent)} yet, and the runs of a sweep start from the "
            "last commit. Run `git add` and `git commit`."
        )
    changed = [name for name in _changed_files() if not name.startswith(WRITTEN)]
    if changed:
        raise InputError(
            f"not committed: {first_few(changed)}. The runs of a sweep start from the last commit. "
            "Commit these files (`git commit --all`), or put them aside (`git stash`)."
        )
    return Repository(root, below.rstrip("/"), head)


def _changed_files() -> list[str]:
    """Files below the working directory that git tracks, and that differ from the last commit."""
    listed = git(Path(), "diff", "HEAD", "--name-only", "--relative", "-z")
    return [name for name in listed.split("\0") if name]


def git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder.

    Raises:
        InputError: it fails.
    """
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, check=False, text=True
    )
    if done.returncode:
        reason = done.stderr.strip()
        raise InputError(f"{folder.resolve()}: git {arguments[0]}: {reason}. Fix that first.")
    return done.stdout


@contextmanager
def only_sweep() -> Generator[int]:
    """Waits for another sweep of the project; yields a file descriptor that holds the lock.

    Where a sweep alone was killed, its DVC goes on: it has inherited the descriptor.
    """
    import fcntl

    HOME.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(HOME / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report.console.print(
                "another sweep of this project still runs, or DVC of one that was killed; waiting "
                "for it"
            )
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def dvc_environment() -> dict[str, str]:
    """The environment in which DVC finds this Python's commands, from no other experiment."""
    own = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", "")
    if own not in path.split(os.pathsep):
        path = os.pathsep.join([own, path])
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("DVC_EXP", "DVC_ROOT", "GIT_"))
    }
    return {**kept, "PATH": path}
