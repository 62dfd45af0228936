"""The scratch folder beside the DVC cache: where long work survives a kill.

DVC deletes a stage's outs before its command runs, and the workspaces of failed experiments
altogether. Work that must outlive both goes to `<repo root>/.dvc/tmp/scratch`, the same folder for
the workspace and for every experiment's own, so that two of them never compute a thing twice.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def scratch_folder(start: Path | None = None) -> Path:
    """The scratch folder that belongs to the repository around `start` (the working directory).

    Without a `.dvc` folder above (a script outside a repository), one in the working directory.
    """
    start = (start or Path.cwd()).resolve()
    homes = [folder for folder in (start, *start.parents) if (folder / ".dvc").is_dir()]
    # An experiment's workspace is <root>/.dvc/tmp/exps/…: the outermost home is the repository.
    inside = [h for h in homes if ".dvc" in start.relative_to(h).parts[:1]]
    home = inside[-1] if inside else (homes[0] if homes else None)
    return home / ".dvc" / "tmp" / "scratch" if home else start / ".scratch"


def repo_root() -> Path:
    """The repository's own folder, also from within an experiment's workspace."""
    home = scratch_folder()
    return home.parents[2] if home.parent.parent.name == ".dvc" else home.parent


def resolve(path: str) -> str:
    """Where a file or folder of the user's is: as named, or from the repository's own folder.

    An experiment in a workspace of its own has only what git or DVC track; a pool that neither
    knows still lies in the repository.
    """
    if Path(path).exists() or Path(path).is_absolute():
        return path
    beside = repo_root() / path
    return str(beside) if beside.exists() else path


def content_key(*parts: Any) -> str:
    """A short fingerprint of anything that JSON can say."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


@contextmanager
def atomic_write(path: Path) -> Generator[Path]:
    """A temporary path beside `path`, renamed onto it if all goes well, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_partial(path: Path) -> None:
    """Removes what a killed process had begun of a file: only for who alone may write it."""
    for half in path.parent.glob(f".{glob.escape(path.name)}.*"):
        half.unlink(missing_ok=True)


def remove_partials(folder: Path) -> None:
    """Removes what a killed stage left half-written in its out folder; DVC's own file stays."""
    import shutil

    for left in folder.glob(".*"):
        if left.name == ".gitignore":
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    with atomic_write(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def hardlink_or_copy(source: Path, target: Path) -> None:
    """Hard-links a finished file into place; copies where the file system has no links."""
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
