"""What git and DVC know of runs: files at a revision, and experiments; nothing is checked out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Literal, NamedTuple

from dataselect.errors import InputError

State = Literal["finished", "running", "queued", "failed"]

#: DVC's names for experiments; those that wait or have failed are in the logs of stashes.
EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38,})/([^/]+)")
STASHED = re.compile(r"dvc-exp:[0-9a-f]+:([0-9a-f]+):([^:]*)")
STASHES: dict[str, State] = {
    "refs/exps/celery/stash": "queued",
    "refs/exps/celery/failed": "failed",
}

#: Where DVC notes what runs, and its numbers for "preparing" and "running".
NOTED = ("exps/run/*/*.run", "exps/standalone/run/*/*.run")
RUNNING = (1, 2)


class Experiment(NamedTuple):
    """An experiment of DVC's.

    Attributes:
        revision: the commit of its result; of one that has not finished, that of its settings.
        baseline: the commit that it started from.
    """

    name: str
    revision: str
    baseline: str
    state: State


def check_project() -> None:
    """Checks that the working directory is a DVC project in a git repository.

    Raises:
        InputError: it is not.
    """
    if not Path(".dvc").is_dir():
        raise InputError(
            f"{Path.cwd()}: not a DVC project: it has no folder .dvc. Go to the project's folder, "
            "or name folders that hold a run's outputs."
        )
    _git("rev-parse", "--git-dir")


def _git(*arguments: str, given: str = "", check: bool = True) -> bytes:
    """What git prints; nothing where it fails and is not checked."""
    try:
        done = subprocess.run(
            ["git", *arguments], input=given.encode(), capture_output=True, check=False
        )
    except FileNotFoundError:
        raise InputError("git is not installed, and runs are read with it. Install it.") from None
    if done.returncode and check:
        reason = done.stderr.decode(errors="replace").strip()
        raise InputError(f"{Path.cwd()}: git: {reason}. Expected a git repository with DVC.")
    return b"" if done.returncode else done.stdout


def read_objects(names: list[str]) -> list[bytes | None]:
    """Objects of git by name, as `main:dvc.lock`, in one call; None for what is not there."""
    wanted = "".join(f"{name}\n" for name in names)
    output = _git("cat-file", "--batch", given=wanted)
    found: list[bytes | None] = []
    place = 0
    for _ in names:
        end = output.index(b"\n", place)
        words = output[place:end].split(b" ")
        place = end + 1
        if len(words) == 3 and words[1] in (b"blob", b"commit", b"tree", b"tag"):
            size = int(words[2])
            found.append(output[place : place + size])
            place += size + 1
        else:  # "… missing", "… ambiguous"
            found.append(None)
    return found


def read_files(revisions: list[str], paths: tuple[str, ...]) -> list[dict[str, bytes | None]]:
    """Files of the working directory's project at several revisions, by path."""
    below = _git("rev-parse", "--show-prefix").decode().strip()
    names = [f"{revision}:{below}{path}" for revision in revisions for path in paths]
    found = iter(read_objects(names))
    return [{path: next(found) for path in paths} for _ in revisions]


def resolve(revision: str) -> str | None:
    """The commit that a branch, tag or hash names; None where there is none."""
    name = f"{revision}^{{commit}}"
    return (
        _git("rev-parse", "--verify", "--quiet", "--end-of-options", name, check=False)
        .decode(errors="replace")
        .strip()
        or None
    )


def head_name() -> str:
    """The name of the branch that is checked out, or `HEAD`."""
    return _git("rev-parse", "--abbrev-ref", "HEAD", check=False).decode().strip() or "HEAD"


def branches() -> list[str]:
    """The names of branches and tags."""
    listed = _git("for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags")
    return listed.decode(errors="replace").split()


def experiments() -> list[Experiment]:
    """All experiments, of any commit: finished ones first, from old to new."""
    listed = _git("for-each-ref", "--sort=creatordate", "--format=%(refname) %(objectname)")
    finished = [
        Experiment(match[3], revision, match[1] + match[2], "finished")
        for name, revision in (line.split(" ") for line in listed.decode().splitlines())
        if (match := EXPERIMENT.fullmatch(name))
    ]
    running = _running()
    names = {experiment.name for experiment in running}
    stashed = [e for stash in STASHES for e in _stashed(stash) if e.name not in names]
    return [*finished, *running, *stashed]


def _stashed(stash: str) -> list[Experiment]:
    logged = _git("log", "--walk-reflogs", "--format=%H %gs", stash, check=False).decode()
    return [
        Experiment(match[2], line.split(" ")[0], match[1], STASHES[stash])
        for line in reversed(logged.splitlines())
        if (match := STASHED.search(line))
    ]


def _running() -> list[Experiment]:
    """What DVC believes to run; it does not notice that one was killed."""
    found = []
    for path in (p for pattern in NOTED for p in sorted(Path(".dvc/tmp").glob(pattern))):
        try:
            noted = json.loads(path.read_text())
        except (OSError, ValueError):  # it is being written
            continue
        done = noted.get("result_hash") or noted.get("status") not in RUNNING
        # Of one that ran in the workspace the note is never brought up to date.
        if not done and noted.get("name") and noted.get("location") != "workspace":
            found.append(Experiment(noted["name"], path.stem, noted["baseline_rev"], "running"))
    return found
