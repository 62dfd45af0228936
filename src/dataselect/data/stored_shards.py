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
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dataselect.data import files
from dataselect.data.shard_records import read_record, write_record

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
    """Every folder of shards in the scratch folder, with its key."""
    for path in sorted((files.scratch_folder() / "embed").glob(f"*/{KEY_FILE}")):
        yield path.parent, json.loads(path.read_text())


def take_columns(path: Path, rows: int, folders: Iterable[WiderFolder]) -> bool:
    """Writes a shard from a wider one of the same rows, if one is stored; hold the shard's lock.

    Args:
        path: the shard to write; a wider one has the same name.
        rows: how many rows it has.
        folders: where to look, in order. A shard that cannot be read, or is of another shape, is
            passed over.

    Returns:
        Whether it is written.
    """
    for source in folders:
        arrays = _wanted_arrays(source, path.name, rows)
        if arrays is None:
            continue
        record = read_record(source.folder / path.name)
        tokens, flops = round(record["tokens"] * source.cost), record["flops"] * source.cost
        seconds = round(record["seconds"] * source.cost, 2)
        write_record(path, tokens, flops, seconds, record["versions"])
        with files.atomic_write(path) as temporary:
            save_file(arrays, temporary)
        return True
    return False


def _wanted_arrays(source: WiderFolder, name: str, rows: int) -> dict[str, np.ndarray] | None:
    """The arrays of a wider shard with the wanted columns; None where there is no such shard."""
    try:
        arrays = load_file(source.folder / name)
    except (FileNotFoundError, SafetensorError):  # the latter: torn, by a disk that was full, say
        return None
    if any(len(array) != rows for array in arrays.values()):
        return None
    for wide in source.arrays:
        if wide not in arrays or arrays[wide].shape[1:2] != (source.stored,):
            return None
        arrays[wide] = np.take(arrays[wide], source.columns, axis=1)
    return arrays
