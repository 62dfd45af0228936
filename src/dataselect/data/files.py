"""Paths, durable writes, and the scratch folder, where long work survives a kill or a power cut.

DVC deletes a stage's outs before its command runs, and removes the workspaces of failed
experiments. Work that must outlive both goes to `<repo root>/.dvc/tmp/scratch`: one folder for the
main workspace and all experiments, so that no two of them compute the same thing.

What gets its name by a rename is on the disk before: after a power cut a file is whole or not
there. `dataselect.write` and `dataselect.sync` are audit events, which cost nothing: see
`crash_points`.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def scratch_folder(start: Path | None = None) -> Path:
    """The scratch folder that belongs to the repository around `start` (the working directory).

    Without a `.dvc` folder above (a script outside a repository), one in the working directory.
    """
    start = (start or Path.cwd()).resolve()
    roots = [folder for folder in (start, *start.parents) if (folder / ".dvc").is_dir()]
    # An experiment's workspace is <root>/.dvc/tmp/exps/…: the outermost root is the repository.
    outer = [folder for folder in roots if ".dvc" in start.relative_to(folder).parts[:1]]
    root = outer[-1] if outer else (roots[0] if roots else None)
    return root / ".dvc" / "tmp" / "scratch" if root else start / ".scratch"


def repo_root() -> Path:
    """The repository's folder, also from within an experiment's workspace."""
    scratch = scratch_folder()
    return scratch.parents[2] if scratch.parent.parent.name == ".dvc" else scratch.parent


def resolve(path: str) -> str:
    """A path as it is if it exists, else relative to the repository's folder.

    The workspace of an experiment has only what git or DVC track; a pool that neither tracks is
    in the repository.
    """
    if Path(path).exists() or Path(path).is_absolute():
        return path
    in_repository = repo_root() / path
    return str(in_repository) if in_repository.exists() else path


def content_key(*parts: Any) -> str:
    """A hash (24 hexadecimal digits) of values that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    # The system's names and variables may be no UTF-8: Python has them with surrogates.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@contextmanager
def atomic_write(path: Path) -> Generator[Path]:
    """A temporary path beside `path`, renamed onto it if all goes well, else removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        sys.audit("dataselect.write", name)  # by a library of another language, perhaps
        temporary.chmod(0o644)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    except BaseException:
        with suppress(OSError):  # the disk that fails here failed before
            temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Waits until a file's content, or the names in a folder, are on the disk."""
    sys.audit("dataselect.sync", str(path))
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without it
            raise
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Waits until a folder, and all that is in it, is on the disk."""
    for path in (*sorted(folder.rglob("*")), folder):
        sync(path)


def partial_folder(folder: Path) -> Path:
    """Where a folder is written, until `rename_folder` puts it in its place."""
    return folder.with_name(f".{folder.name}")


def rename_folder(partial: Path, folder: Path) -> None:
    """Gives a folder that is written its name, in place of one that has it.

    What is in it must be on the disk: see `checksums.seal`.
    """
    remove_folder(folder)
    partial.rename(folder)
    sync(folder.parent)


def remove_folder(folder: Path) -> None:
    """Removes a folder, if there is one. Raises: OSError: it cannot be removed as a whole."""
    import shutil

    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


def remove_partial(path: Path) -> None:
    """Removes temporary files that a killed process left of a file; hold the file's lock."""
    for temporary in path.parent.glob(f".{glob.escape(path.name)}.*"):
        temporary.unlink(missing_ok=True)


def remove_partials(folder: Path, pattern: str = ".*") -> None:
    """Removes the temporary files and folders that a killed stage left in a folder.

    Args:
        pattern: what is temporary there; by default all that is hidden.
    """
    import shutil

    for path in folder.glob(pattern):
        if path.name == ".gitignore":  # DVC's
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file whole or not at all."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    with atomic_write(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogatepass")


def hardlink_or_copy(source: Path, target: Path) -> None:
    """Hard-links a finished file into place; copies where the file system has no links."""
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with atomic_write(target) as temporary:
            shutil.copyfile(source, temporary)
