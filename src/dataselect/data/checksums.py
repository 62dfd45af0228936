"""Lengths and checksums: what lies in the scratch folder is taken up only as it was written.

A power cut, a full disk or a failing one may leave a file torn, empty, zeroed or changed. Each
kind of stored work has the lengths and checksums of its files beside it, with the place that they
belong to: a file of another key is as wrong as a torn one.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from dataselect.data import files
from dataselect.machine import cores

#: The file, in a sealed folder, with the lengths and checksums of the others.
SEAL = "checksums.json"

#: Bytes of a block, of which each has a checksum; bytes that are read at a time; threads.
BLOCK, PIECE, THREADS = 1 << 24, 1 << 18, 8

#: The length of a file in bytes, and its checksum.
Sum = list[int]


def file_sum(path: Path) -> Sum:
    """The length of a file, and the CRC-32 of the CRC-32s of its blocks, which threads compute."""
    size = path.stat().st_size
    starts = range(0, size, BLOCK)
    if len(starts) < 2:
        sums = [_block_sum(path, start) for start in starts]
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(THREADS, cores(), len(starts))) as pool:
            sums = list(pool.map(lambda start: _block_sum(path, start), starts))
    return [size, zlib.crc32(b"".join(number.to_bytes(4, "big") for number in sums))]


def _block_sum(path: Path, start: int) -> int:
    total, piece = 0, memoryview(bytearray(PIECE))
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        left = BLOCK  # a read may give less than was asked for
        while left and (count := file.readinto(piece[: min(left, PIECE)])):
            total, left = zlib.crc32(piece[:count], total), left - count
    return total


def write_checked(path: Path, value: Any, place: Path | None = None) -> None:
    """Writes a JSON file with the checksum of its content and place.

    Args:
        place: where it will lie, if its folder is renamed after this.
    """
    files.write_json(path, {"crc32": _json_sum(value, place or path), "value": value})


def read_checked(path: Path, quietly: bool = False) -> Any:
    """What `write_checked` wrote; None where there is none, and where it is not as it was written.

    A file of an earlier version, without a checksum, counts as none.

    Args:
        quietly: does not print that it is not as it was written.
    """
    stored = _read(path)
    if isinstance(stored, dict) and stored.get("crc32") == _json_sum(stored.get("value"), path):
        return stored["value"]
    if not quietly and path.exists() and read_unchecked(path) is None:
        print_changed(path)
    return None


def read_unchecked(path: Path) -> dict[str, Any] | None:
    """What an earlier version wrote, without a checksum; None where there is no such file."""
    stored = _read(path)
    return stored if isinstance(stored, dict) and "crc32" not in stored else None


def _read(path: Path) -> Any:
    """A JSON file; None where there is none."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def print_changed(path: Path) -> None:
    """Prints that what a path held is made again."""
    from dataselect import report  # what prints takes longer to load than a plan that holds

    report.console.print(f"{_shown(path)} is not as it was written; it is made again", markup=False)


def seal(folder: Path, place: Path) -> None:
    """Notes the length and checksum of every file of a folder, in a file of it; all is on the disk.

    Args:
        place: where the folder will lie when it is finished.
    """
    (folder / SEAL).unlink(missing_ok=True)
    files.sync_folder(folder)
    write_checked(folder / SEAL, _sums(folder), place / SEAL)


def is_sealed(folder: Path) -> bool:
    """Whether a folder is as it was sealed; prints that it is not, unless it has no seal."""
    if not (folder / SEAL).exists():
        return False
    sums = read_checked(folder / SEAL, quietly=True)
    if sums is not None and sums == _sums(folder):
        return True
    print_changed(folder)
    return False


def _sums(folder: Path) -> dict[str, Sum]:
    """The files of a folder, but for its seal."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_sum(path) for path in paths if path.name != SEAL}


def _json_sum(value: Any, place: Path) -> int:
    """The checksum of a value and of the last parts of its path, which name its kind and key."""
    return zlib.crc32(json.dumps([place.absolute().parts[-3:], value], sort_keys=True).encode())


def _shown(path: Path) -> Path:
    root = files.repo_root()
    return path.absolute().relative_to(root) if path.absolute().is_relative_to(root) else path
