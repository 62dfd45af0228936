"""Whether anything changed since the last plan that it depends on; if nothing did, it still holds.

`dvc repro` makes a plan each time, and mostly it is the same. What a plan reads is compared here
with how the last one found it: settings, code, data, models, packages, environment, machine.
Where these files alone do not say it (`plan.command`), nothing is remembered: a plan is made.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from dataselect.data.checksums import read_checked, write_checked
from dataselect.data.files import content_key, scratch_folder
from dataselect.data.fingerprint import File, folder_hash, matching_files
from dataselect.data.project_files import PACKAGE, project_file
from dataselect.errors import InputError
from dataselect.machine import GPU_DEVICES, machine_memory

#: What a plan reads, as `surroundings` finds it: name → a hash, or what there is.
Surroundings = dict[str, Any]

#: Small files that are compared by their content; DVC writes dvc.lock anew each time.
FILES = ("params.yaml", "methods.yaml", "plan.json", "dvc.lock")
#: Variables that differ from shell to shell, and decide nothing.
IDLE_VARIABLES = ("_", "OLDPWD", "PWD", "SHLVL")
#: The sides whose files params.yaml names.
SIDES = ("pool", "queries", "tests")


def surroundings() -> Surroundings:
    """All that a plan depends on, but for the data and the models that params.yaml names."""
    features = scratch_folder() / "embed"
    return {
        "folder": str(Path.cwd()),
        "files": {name: _content(name) for name in FILES},
        # Which metrics there are decides what is removed as another run's.
        "metrics": sorted(str(path) for path in Path("metrics").rglob("*")),
        "code": content_key([_files(PACKAGE), _files(Path("stages")), _files(_kinds())]),
        # A package that is installed, replaced or removed changes the time of its folder.
        "packages": {place: _time(Path(place)) for place in sys.path},
        "python": [sys.version, sys.executable],
        "environment": _environment(),
        "machine": [machine_memory(), *[path.exists() for path in GPU_DEVICES]],
        "features": {path.name: _time(path) for path in sorted(features.glob("*"))},
    }


def last_lines(now: Surroundings) -> list[str] | None:
    """What the last plan printed, where it would be the same now; else None.

    Args:
        now: the surroundings.
    """
    try:
        last = read_checked(_record())
        if last is None or last["surroundings"] != now:
            return None
        for side, patterns, found in last["data"]:
            files = [[file.path, file.md5] for file in matching_files(patterns, side)]
            if files != found:
                return None
        if any(folder_hash(name) != md5 for name, md5 in last["models"].items()):
            return None
        return [*last["lines"], "Nothing has changed that the plan reads."]
    except (OSError, ValueError, KeyError, TypeError):  # of files, the plan says what is wrong
        return None


def remember(
    before: Surroundings,
    params: dict[str, Any],
    files: dict[str, list[File]],
    models: dict[str, str],
    lines: list[str],
) -> None:
    """Notes what a plan has read, for `last_lines`.

    Args:
        before: the surroundings before anything was read: an edit since then will be found.
        params: params.yaml.
        files: side → the files of the data, as the plan has read them.
        models: name → hash of its folder.
        lines: what the plan has printed.
    """
    data = [
        [side, patterns, [[file.path, file.md5] for file in files[side]]]
        for side in SIDES
        if (patterns := (params.get(side) or {}).get("path"))
    ]
    written = {**before["files"], "plan.json": _content("plan.json")}
    write_checked(_record(), {
        "surroundings": {**before, "files": written}, "data": data, "models": models,
        "lines": lines,
    })  # fmt: skip


def _record() -> Path:
    return scratch_folder() / "plan" / "last.json"


def _content(name: str) -> str | None:
    try:
        return hashlib.sha256(Path(name).read_bytes()).hexdigest()
    except OSError:  # the plan says what is wrong
        return None


def _time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # not there, or not to be looked at: Python passes over it, too
        return None


def _kinds() -> Path:
    try:
        return project_file("eval_kinds")
    except InputError:
        return Path("eval_kinds")


def _files(folder: Path) -> list[list[Any]]:
    """Every file below a folder, with its state; of a link also what it leads to."""
    found: list[list[Any]] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            path = Path(place) / name
            found.append([f"{place}/{name}", _state(path, follow=False)])
            if path.is_symlink():  # an editor leaves some that lead to nothing
                found.append([f"{place}/{name}", _state(path, follow=True)])
    return found


def _state(path: Path, *, follow: bool) -> list[int] | None:
    """A file's size, time of change and inode; None where it has gone."""
    try:
        stat = path.stat(follow_symlinks=follow)
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _environment() -> str:
    """A hash of the environment: its variables may hold secrets."""
    return content_key(sorted(item for item in os.environ.items() if item[0] not in IDLE_VARIABLES))
