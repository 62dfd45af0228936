"""Where a run's outputs lie: in DVC's cache, or beside it; nothing is checked out or copied."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataselect.compare.recorded import Run


def find_output(run: Run, name: str) -> Path | None:
    """A file of a run's outputs.

    Args:
        name: as in the folder out, such as `pool.parquet`.

    Returns:
        None where the run has none, or it is gone: what lies there is another run's.
    """
    if run.cache is None:  # a folder by itself: what it holds is the run's
        path = run.out / name if run.out else None
        return path if path and path.is_file() else None
    return stored(f"out/{name}", run.outputs, run.cache, run.out and run.out.parent)


def find_outputs(run: Run, folder: str, below: str) -> list[Path]:
    """The files in a folder of a run's outputs, by name; none where they are gone.

    Args:
        folder: an output that is a folder, such as `features`.
        below: a folder in it, such as `pool`.
    """
    if run.cache is None:
        return sorted((run.out / folder / below).glob("*")) if run.out else []
    digest = run.outputs.get(f"out/{folder}")
    if digest is None:
        return []
    listing = cached_file(run.cache, digest)
    if not listing.is_file():
        return []
    entries = {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_bytes())}
    names = sorted(name for name in entries if name.startswith(f"{below}/"))
    found = [cached_file(run.cache, entries[name]) for name in names]
    return found if all(path.is_file() for path in found) else []


def cached_file(cache: Path, digest: str) -> Path:
    """Where DVC's cache keeps a file by its md5 sum."""
    return cache / digest[:2] / digest[2:]


def stored(path: str, outputs: dict[str, str], cache: Path, home: Path | None) -> Path | None:
    """Where an output lies: in the cache, or in the workspace; None where it is gone.

    Args:
        path: of a file, such as `out/pool.parquet`.
        outputs: a run's.
        cache: the folder of DVC's cache for md5 sums.
        home: the folder of a run that lies in the workspace.
    """
    digest = outputs.get(path)
    if digest is None:
        return None
    cached = cached_file(cache, digest)
    if cached.is_file():
        return cached
    here = None if home is None else home / path
    return here if here and here.is_file() and _file_md5(here) == digest else None


def _file_md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5(content: bytes) -> str:
    """The sum that DVC calls a file by."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
