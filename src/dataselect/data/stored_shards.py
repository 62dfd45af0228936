"""Shards that are stored under other keys: which there are, and a shard made of a wider one.

A wider shard holds, of the same rows, the same arrays with more columns: losses at more
checkpoints. What is wanted of it need not be computed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from dataselect.data import files
from dataselect.data.shard_records import is_whole, read_record, write_record

#: A file in a folder of shards that holds the key whose hash names the folder.
KEY_FILE = "key.json"


@dataclass(frozen=True)
class WiderFolder:
    """A folder of shards that hold more columns than are wanted.

    Attributes:
        folder: where the shards are.
        arrays: the names of the arrays that have those columns, in axis 1; others stay whole.
        stored: how many columns the shards have.
        columns: the wanted ones, from 0.
        cost: what computing these alone takes, as a share of what the shards took.
    """

    folder: Path
    arrays: tuple[str, ...]
    stored: int
    columns: tuple[int, ...]
    cost: float


def stored_keys() -> Iterator[tuple[Path, list[Any]]]:
    """Every folder of shards in the scratch folder, with its key; not where the key is torn."""
    for path in sorted((files.scratch_folder() / "embed").glob(f"*/{KEY_FILE}")):
        if (key := read_key(path.parent)) is not None:
            yield path.parent, key


def read_key(folder: Path) -> list[Any] | None:
    """The key of a folder of shards; None where there is none, or not the one of its name."""
    try:
        key = json.loads((folder / KEY_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return key if files.content_key(key) == folder.name else None


def take_columns(path: Path, rows: int, folders: Iterable[WiderFolder]) -> bool:
    """Writes a shard from a wider one of the same rows, if one is stored; hold the shard's lock.

    Args:
        path: the shard to write; a wider one has the same name.
        rows: how many rows it has.
        folders: where to look, in order. One that is not as it was written, or is of another
            shape, is passed over.

    Returns:
        Whether it is written.
    """
    for source in folders:
        arrays = _wanted_arrays(source, path.name, rows)
        if arrays is None:
            continue
        record = read_record(source.folder / path.name)
        record["tokens"] = round(record["tokens"] * source.cost)
        record["flops"] *= source.cost
        record["seconds"] = round(record["seconds"] * source.cost, 2)
        with files.atomic_write(path) as temporary:
            save_file(arrays, temporary)
            write_record(path, record, temporary)
        return True
    return False


def _wanted_arrays(source: WiderFolder, name: str, rows: int) -> dict[str, np.ndarray] | None:
    """The arrays of a wider shard with the wanted columns; None where there is no such shard."""
    if not is_whole(source.folder / name):
        return None
    arrays = load_file(source.folder / name)
    if any(len(array) != rows for array in arrays.values()):
        return None
    for wide in source.arrays:
        if wide not in arrays or arrays[wide].shape[1:2] != (source.stored,):
            return None
        arrays[wide] = np.take(arrays[wide], source.columns, axis=1)
    return arrays
