"""The git repository and the DVC project of a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dataselect.errors import InputError


def git_root(folder: Path) -> Path | None:
    """The git repository that a folder, which need not exist yet, is in; None: in none.

    Raises:
        InputError: git is missing, or refuses to read the repository.
    """
    if shutil.which("git") is None:
        raise InputError("git is not installed, and DVC needs it. Install git, and run this again.")
    existing = next(place for place in (folder, *folder.parents) if place.is_dir())
    done = _run("git", "rev-parse", "--show-toplevel", cwd=existing)
    if done.returncode == 0:
        return Path(done.stdout.strip()).resolve()
    if "not a git repository (or any" in done.stderr:
        return None
    raise InputError(f"{existing}: git cannot read this repository: {_last_line(done.stderr)}")


def edited(folder: Path) -> list[str]:
    """The files of a folder that differ from its last commit; none where it is no repository."""
    if shutil.which("git") is None or not (folder / ".git").exists():
        return []
    return _run("git", "diff", "--name-only", "HEAD", cwd=folder).stdout.splitlines()


def check_place(folder: Path, repository: Path | None) -> None:
    """Refuses a folder in which no project can be made.

    Args:
        folder: absolute; it need not exist.
        repository: the git repository around it.

    Raises:
        InputError: it is a file; has files, but is in no git repository; or is inside another DVC
            project.
    """
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir():
        raise InputError(f"{existing}: expected a folder, found a file. Name another.")
    around = [place for place in folder.parents if (place / ".dvc" / "config").is_file()]
    outer = next(iter(around), None)
    if outer is not None and (repository is None or outer.is_relative_to(repository)):
        raise InputError(
            f"{folder}: inside the DVC project {outer}, which would not see the new one. Name a "
            f"folder outside it, or that project's own: dataselect init {outer}"
        )
    if (
        repository is None
        and folder.is_dir()
        and (found := sorted(p.name for p in folder.iterdir()))
    ):
        raise InputError(
            f"{folder}: expected an empty folder or one in a git repository; found `{found[0]}`"
            f"{f' and {len(found) - 1} more' if found[1:] else ''} and no repository. Name another "
            "folder, or run `git init` in this one first."
        )


def init_git(folder: Path) -> None:
    """Makes a git repository in a folder."""
    _checked("git", "init", "--quiet", cwd=folder)


def init_dvc(folder: Path, *, in_subfolder: bool) -> None:
    """Makes a DVC project in a folder of a git repository.

    Args:
        in_subfolder: whether the folder is not the repository's root.
    """
    options = ["--subdir"] if in_subfolder else []
    _checked(sys.executable, "-m", "dvc", "init", "--quiet", *options, cwd=folder)


def unstage(folder: Path, names: list[str]) -> None:
    """Takes files and folders that `dvc init` staged out of git's index, after a failure."""
    options = ("-r", "-q", "-f", "--cached", "--ignore-unmatch")
    _run("git", "rm", *options, "--", *names, cwd=folder)


def add_settings(config: Path, ours: bytes) -> None:
    """Adds the settings of one file of DVC to another; those that it has stay as they are."""
    from configobj import ConfigObj

    merged, additions = ConfigObj(str(config)), ConfigObj(ours.decode().splitlines())
    for section in additions.sections:
        kept = merged.setdefault(section, {})
        for name, value in additions[section].items():
            kept.setdefault(name, value)
    merged.write()


def _checked(*command: str, cwd: Path) -> None:
    done = _run(*command, cwd=cwd)
    if done.returncode:
        name = " ".join(command[-3:]).removeprefix("-m ")
        raise InputError(f"{cwd}: `{name}` failed: {_last_line(done.stderr)}")


def _run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}  # messages in English
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
