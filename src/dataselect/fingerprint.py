"""What a file holds, as a hash that is computed once for as long as the file stays as it is."""

from __future__ import annotations

import glob
import hashlib
import json
from pathlib import Path
from typing import TypedDict

from dataselect import scratch
from dataselect.errors import InputError


class File(TypedDict):
    """A file and the MD5 of its bytes."""

    path: str
    md5: str


def files(path: str | list[str], where: str) -> list[File]:
    """The files that a path, a glob or a list of both stands for, in order, with their hashes.

    A file that is named twice is there once.

    Raises:
        InputError: nothing is there, or it cannot be read.
    """
    given = [path] if isinstance(path, str) else path
    found = list(dict.fromkeys(name for one in given for name in _matches(one, where)))
    if not found:
        raise InputError(f"{where}: an empty list. Name at least one file.")
    try:
        return [File(path=p, md5=h) for p, h in zip(found, md5s(found), strict=True)]
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error}. Mend that.") from None


def _matches(path: str, where: str) -> list[str]:
    if Path(path).is_file():  # also one with a bracket in its name
        return [path]
    names = [p for p in sorted(glob.glob(path, recursive=True)) if Path(p).is_file()]  # noqa: PTH207
    if not names:
        wrong = "no file matches this" if glob.has_magic(path) else "there is no such file"
        if Path(path).is_dir() and path:
            wrong = f"a folder; expected a file or a glob, like `{path.rstrip('/')}/*.parquet`"
        raise InputError(
            f"{where}: `{path}`: {wrong} (looked from {Path.cwd()}). "
            f"Set `{where}` in params.yaml to a file, a glob or a list of them."
        )
    return names


def folder(path: str) -> str:
    """One hash of all files in a folder: names and contents."""
    names = sorted(p for p in Path(path).rglob("*") if p.is_file())
    hashes = md5s([str(p) for p in names])
    return scratch.key([[str(p.relative_to(path)), h] for p, h in zip(names, hashes, strict=True)])


def md5s(paths: list[str]) -> list[str]:
    """The MD5 of each file, remembered by its path, size, time of change and inode."""
    memory = scratch.root() / "plan" / "hashes.json"
    try:
        known: dict[str, list] = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    answer, changed = [], False
    for path in paths:
        stat = Path(path).stat()
        name = str(Path(path).resolve())
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        if known.get(name, [None])[0] != state:
            with Path(path).open("rb") as file:
                known[name] = [state, hashlib.file_digest(file, "md5").hexdigest()]
            changed = True
        answer.append(known[name][1])
    if changed:
        scratch.write_json(memory, known)
    return answer
