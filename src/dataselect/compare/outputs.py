"""Where a run's outputs lie: in DVC's cache, or beside it; nothing is checked out or copied."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from dataselect.compare.recorded import Run


def find_output(run: Run, name: str) -> Path | None:
    """A file of a run's outputs.

    Args:
        name: as in the folder out, such as `pool.parquet`.

    Returns:
        None where the run has none, or it is gone: what lies there is another run's.
    """
    if not run.outs:  # a folder by itself: what it holds is the run's
        return _there(run.out / name) if run.out else None
    digest = run.outs.get(f"out/{name}")
    if digest is None:
        return None
    if run.cache and (cached := _in_cache(run.cache, digest)).is_file():
        return cached
    here = _there(run.out / name) if run.out else None
    return here if here and _digest(here) == digest else None


def find_outputs(run: Run, folder: str, below: str) -> list[Path]:
    """The files in a folder of a run's outputs, by name; none where they are gone.

    Args:
        folder: an output that is a folder, such as `features`.
        below: a folder in it, such as `pool`.
    """
    if not run.outs:
        return sorted((run.out / folder / below).glob("*")) if run.out else []
    digest = run.outs.get(f"out/{folder}")
    if digest is None or run.cache is None:
        return []
    listing = _in_cache(run.cache, digest)
    if not listing.is_file():
        return []
    entries = {entry["relpath"]: entry["md5"] for entry in json.loads(listing.read_bytes())}
    names = sorted(name for name in entries if name.startswith(f"{below}/"))
    found = [_in_cache(run.cache, entries[name]) for name in names]
    return found if all(path.is_file() for path in found) else []


def _in_cache(cache: Path, digest: str) -> Path:
    return cache / digest[:2] / digest[2:]


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
