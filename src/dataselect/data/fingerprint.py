"""Hashes of files and folders; a file is read again only when its size or time of change differ."""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dataselect.data.checksums import read_checked, write_checked
from dataselect.data.files import content_key, repo_root, resolve, scratch_folder
from dataselect.errors import InputError

#: What this process has hashed: a file's path → its state, and its MD5.
_hashed: dict[str, list] = {}


@dataclass(frozen=True)
class File:
    """A file and the MD5 of its bytes."""

    path: str
    md5: str


def matching_files(path: str | list[str], where: str) -> list[File]:
    """The files that a path, a glob or a list of both matches, in order, with their hashes.

    A file that matches twice, as in a loop of links, is listed once.

    Args:
        where: the key of params.yaml, for messages.

    Raises:
        InputError: nothing matches, a file cannot be read, or its name is not UTF-8.
    """
    patterns = [path] if isinstance(path, str) else path
    matches = [match for pattern in patterns for match in _matches(pattern, where)]
    found: dict[tuple[Path, str], str] = {}  # another name is another task or source
    for match in matches:
        found.setdefault((Path(resolve(match)).resolve(), Path(match).name), match)
    paths = list(found.values())
    if not paths:
        raise InputError(f"{where}: an empty list. Name at least one file.")
    for name in paths:
        if (shown := os.fsencode(name).decode(errors="backslashreplace")) != name:
            raise InputError(f"{where}: `{shown}`: the file's name is not UTF-8. Rename the file.")
    try:
        return [File(path=p, md5=h) for p, h in zip(paths, file_hashes(paths), strict=True)]
    except OSError as error:
        raise InputError(
            f"{where}: cannot be read: {error}. Check the file and its permissions."
        ) from None


def _matches(path: str, where: str) -> list[str]:
    if Path(resolve(path)).is_file():  # also one with a bracket in its name
        return [path]
    names = _glob(path, Path.cwd()) or _glob(path, repo_root())
    if not names:
        wrong = "no file matches this" if glob.has_magic(path) else "there is no such file"
        if Path(path).is_dir() and path:
            wrong = f"a folder; expected a file or a glob, like `{path.rstrip('/')}/*.parquet`"
        raise InputError(
            f"{where}: `{path}`: {wrong} (looked from {Path.cwd()}). "
            f"Set `{where}` in params.yaml to a file, a glob or a list of them."
        )
    return names


def _glob(pattern: str, folder: Path) -> list[str]:
    """The files that a pattern matches in a folder, relative to it as the pattern is."""
    names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207
    return [name for name in names if (folder / name).is_file()]


def folder_hash(path: str, *, store: bool = True) -> str:
    """One hash of all files in a folder: names and contents; `store`: see `file_hashes`."""
    path = resolve(path)
    names = sorted(p for p in Path(path).rglob("*") if p.is_file())
    hashes = file_hashes([str(p) for p in names], store=store)
    return content_key([[str(p.relative_to(path)), h] for p, h in zip(names, hashes, strict=True)])


def file_hashes(paths: list[str], *, store: bool = True) -> list[str]:
    """The MD5 of each file, remembered by its path, size, time of change and inode.

    Args:
        store: whether other processes remember it too. Not where other machines may have a file of
            their own at the path, and would read theirs again each time.
    """
    memory = scratch_folder() / "plan" / "hashes.json"
    stored: dict[str, list] = read_checked(memory) or {}
    hashes, changed = [], False
    for path in map(resolve, paths):
        stat = Path(path).stat()
        name = str(Path(path).resolve())
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        entries = (stored.get(name), _hashed.get(name))
        entry = next((entry for entry in entries if entry and entry[0] == state), None)
        if entry is None:
            with Path(path).open("rb") as file:
                entry = [state, hashlib.file_digest(file, "md5").hexdigest()]
        changed = changed or stored.get(name) != entry
        stored[name] = _hashed[name] = entry
        hashes.append(entry[1])
    if changed and store:
        write_checked(memory, stored)
    return hashes


def check_planned_files(planned: list[File]) -> None:
    """Checks that files are as the plan found them; call it when they have been read.

    Raises:
        InputError: one has changed, or is gone.
    """
    try:
        found = file_hashes([file.path for file in planned], store=False)
    except OSError as error:
        raise _changed(f"`{error.filename}`") from None
    for file, md5 in zip(planned, found, strict=True):
        if file.md5 != md5:
            raise _changed(f"`{file.path}`")


def check_planned_model(name: str, md5: str | None) -> None:
    """Checks that a model's folder is as the plan found it; call it when it has been loaded.

    Args:
        md5: of the folder, by the plan; None for a hub's model, of which nothing is compared.

    Raises:
        InputError: a file in it has changed, or is gone.
    """
    try:
        unchanged = md5 is None or folder_hash(name, store=False) == md5
    except OSError:
        unchanged = False
    if not unchanged:
        raise _changed(f"the folder of the model `{name}`")


def _changed(what: str) -> InputError:
    return InputError(
        f"{what} has changed since the run was planned, and what was read may be neither the old "
        "nor the new. Run `dvc repro` again, which makes a new plan."
    )
