"""What a file holds, as a hash that is computed once for as long as the file stays as it is."""

from __future__ import annotations

import ast
import glob
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from dataselect.data.files import content_key, repo_root, resolve, scratch_folder, write_json
from dataselect.errors import InputError

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class File:
    """A file and the MD5 of its bytes."""

    path: str
    md5: str


def matching_files(path: str | list[str], where: str) -> list[File]:
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
        return [File(path=p, md5=h) for p, h in zip(found, file_hashes(found), strict=True)]
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error}. Mend that.") from None


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


def _glob(path: str, home: Path) -> list[str]:
    """The files that a path stands for in a folder, named as the path is."""
    found = sorted(glob.glob(path, root_dir=home, recursive=True))  # noqa: PTH207
    return [name for name in found if (home / name).is_file()]


def folder_hash(path: str) -> str:
    """One hash of all files in a folder: names and contents."""
    path = resolve(path)
    names = sorted(p for p in Path(path).rglob("*") if p.is_file())
    hashes = file_hashes([str(p) for p in names])
    return content_key([[str(p.relative_to(path)), h] for p, h in zip(names, hashes, strict=True)])


def file_hashes(paths: list[str]) -> list[str]:
    """The MD5 of each file, remembered by its path, size, time of change and inode."""
    memory = scratch_folder() / "plan" / "hashes.json"
    try:
        known: dict[str, list] = json.loads(memory.read_text())
    except (OSError, ValueError):
        known = {}
    answer, changed = [], False
    for path in map(resolve, paths):
        stat = Path(path).stat()
        name = str(Path(path).resolve())
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        if known.get(name, [None])[0] != state:
            with Path(path).open("rb") as file:
                known[name] = [state, hashlib.file_digest(file, "md5").hexdigest()]
            changed = True
        answer.append(known[name][1])
    if changed:
        write_json(memory, known)
    return answer


def code_hash(file: Path) -> str:
    """One hash of a module of this package and of every other that it imports, however deep."""
    return content_key(sorted(file_hashes([str(path) for path in _imported_files(file, set())])))


def _imported_files(file: Path, seen: set[Path]) -> set[Path]:
    if file not in seen:
        seen.add(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for name in _imported(node):
                path = PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
                if path.is_file():
                    _imported_files(path, seen)
    return seen


def _imported(node: ast.AST) -> list[str]:
    """The modules of this package that an import statement may name."""
    if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("dataselect"):
        return []
    return [str(node.module), *(f"{node.module}.{one.name}" for one in node.names)]
