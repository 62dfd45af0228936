"""Resumable sharded work: features of a table's rows, one file a shard.

A shard is computed under a file lock, written to a temporary name in the scratch folder, renamed,
and hard-linked into the stage's out. Its name there is the fingerprint of the rows' content and
of everything that decides their features; so what was finished before a kill, by another
experiment, or for a pool that has grown since, is never computed again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from filelock import FileLock
from safetensors import safe_open
from safetensors.numpy import save_file

from dataselect import report, scratch, tables
from dataselect.features import Compute

ROWS = 4_096  # rows a shard: seconds to minutes of work, and at most some 70 MB; a feature whose
# rows are dearer or larger says so by a `ROWS` of its own


@dataclass
class Done:
    """What a run of shards did: rows, shards computed and found, bytes, earlier runs' seconds.

    Tokens and FLOPs are of all shards, whenever they were computed.
    """

    rows: int = 0
    computed: int = 0
    found: int = 0
    bytes: int = 0
    tokens: int = 0
    flops: float = 0.0
    earlier_seconds: float = 0.0


def write(
    side: str, table: Path, out: Path, load: Callable[[], Compute], key: list[Any], rows: int = ROWS
) -> Done:
    """Writes the features of a table's rows to `out/<side>/00000.safetensors` and so on.

    Args:
        side: `pool` or `queries`: which table it is.
        load: loads the model and returns the feature's function; called at the first shard that
            is not there yet, so that a run with nothing to do loads nothing.
        key: all that the features depend on besides the rows: settings, model, precision, code.
        rows: rows a shard.
    """
    home = scratch.root() / "embed" / scratch.key(key)
    home.mkdir(parents=True, exist_ok=True)
    done = Done()
    compute: Compute | None = None
    with report.progress(f"embed {side}", tables.height(table)) as advance:
        for number, block in enumerate(tables.blocks(side, table, rows)):
            path = home / f"{_content(block, side)}.safetensors"
            with FileLock(path.with_suffix(".lock")):
                if path.exists():
                    done.found += 1
                    done.earlier_seconds += _cost(path)["seconds"]
                    advance(block.height)
                else:
                    start = time.perf_counter()
                    compute = compute or load()
                    meter = _Meter(advance)
                    arrays = compute(block["messages"].to_list(), side, meter)
                    cost = {"tokens": meter.tokens, "flops": meter.flops}
                    cost["seconds"] = round(time.perf_counter() - start, 2)
                    scratch.write_json(path.with_suffix(".json"), cost)
                    with scratch.replacing(path) as temporary:
                        save_file(arrays, temporary)
                    done.computed += 1
            path.with_suffix(".lock").unlink(missing_ok=True)
            scratch.link(path, out / side / f"{number:05d}.safetensors")
            done.rows += block.height
            done.bytes += path.stat().st_size
            cost = _cost(path)
            done.tokens += cost["tokens"]
            done.flops += cost["flops"]
    return done


class _Meter:
    """Adds up what a feature says of a shard, and moves the progress bar."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self.advance, self.tokens, self.flops = advance, 0, 0.0

    def __call__(self, rows: int, tokens: int = 0, flops: float = 0.0, /) -> None:
        self.advance(rows)
        self.tokens += tokens
        self.flops += flops


def _cost(path: Path) -> dict[str, Any]:
    """What a finished shard took; beside it, since a shard's own bytes never differ."""
    beside = path.with_suffix(".json")
    nothing = {"seconds": 0.0, "tokens": 0, "flops": 0.0}
    return nothing | (json.loads(beside.read_text()) if beside.exists() else {})


def height(folder: Path) -> int | None:
    """The number of rows a shard of one side; None where there are no shards."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            return file.get_slice(next(iter(file.keys()))).get_shape()[0]
    return None


def _content(block: pl.DataFrame, side: str) -> str:
    text = block.select("messages").write_json()
    return hashlib.sha256(f"{side}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read(folder: Path) -> Iterator[dict[str, np.ndarray]]:
    """The arrays of every shard of one side, in order."""
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            yield {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_all(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of one side, whole."""
    shards = list(read(folder))
    return {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
