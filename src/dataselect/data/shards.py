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
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from filelock import FileLock
from safetensors import safe_open
from safetensors.numpy import save_file

from dataselect import report
from dataselect.compute import Run, Work
from dataselect.compute.local import local
from dataselect.compute.memory import is_out_of_memory
from dataselect.data import files, tables
from dataselect.data.chunking import chunks
from dataselect.errors import InputError
from dataselect.report import Progress

ROWS_PER_SHARD = (
    2_048  # rows a shard, about: seconds to minutes of work; a feature whose rows are dearer or
)
# larger says so by a `ROWS` of its own


@dataclass
class ShardTotals:
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


class Job(NamedTuple):
    """A shard to be computed: its file, `pool` or `queries`, and the rows with their messages."""

    path: Path
    side: str
    block: pl.DataFrame


class Shard(NamedTuple):
    """A shard that is there: its file, its rows, and whether it was computed just now."""

    path: Path
    rows: int
    computed: bool


@contextmanager
def open_writer(
    load: Callable[[], Featurizer], key: list[Any], engine: Any = local, home: Path | None = None
) -> Generator[Callable[..., ShardTotals]]:
    """Yields `write`, which writes the features of a table; workers live as long as this does.

    Args:
        load: loads the model and returns the feature's function; called by a worker at the first
            shard that is not there yet, so that a run with nothing to do loads nothing.
        key: all that the features depend on besides the rows: settings, model, precision, code.
        engine: where the work runs: see `engines`.
        home: where the shards lie; None: in the scratch folder.
    """
    home = (home or files.scratch_folder() / "embed") / files.content_key(key)
    home.mkdir(parents=True, exist_ok=True)
    with engine(partial(_start_worker, load)) as run:
        yield partial(_write, run, home)


def write(
    side: str,
    table: Path,
    out: Path,
    load: Callable[[], Featurizer],
    key: list[Any],
    rows: int = ROWS_PER_SHARD,
    home: Path | None = None,
) -> ShardTotals:
    """Writes the features of one table in this process: see `writing` and `_write`."""
    with open_writer(load, key, partial(local, workers=1), home) as put:
        return put(side, table, out, rows)


def _write(
    run: Run, home: Path, side: str, table: Path, out: Path, rows: int = ROWS_PER_SHARD
) -> ShardTotals:
    """Writes the features of a table's rows to `out/<side>/00000.safetensors` and so on.

    Args:
        side: `pool` or `queries`: which table it is.
        rows: rows a shard, about: see `chunking`.
    """
    there: list[Shard] = []
    with report.progress(f"embed {side}", tables.row_count(table)) as advance:

        def missing() -> Iterator[Job]:
            for block in chunks(tables.iter_batches(side, table, 4_096), rows):
                path = home / f"{_content_hash(block, side)}.safetensors"
                there.append(Shard(path, block.height, computed=False))
                if path.exists():
                    advance(block.height)
                else:
                    yield Job(path, side, block.select("messages"))

        computed = {one.path for one in run(missing(), advance) if one.computed}
    return _link_shards(there, computed, out / side)


def _link_shards(there: list[Shard], computed: set[Path], folder: Path) -> ShardTotals:
    """Links the shards into the out, in order, and adds up what they took."""
    done = ShardTotals()
    for number, shard in enumerate(there):
        files.hardlink_or_copy(shard.path, folder / f"{number:05d}.safetensors")
        cost = _cost(shard.path)
        if shard.path in computed:
            done.computed += 1
        else:
            done.found += 1
            done.earlier_seconds += cost["seconds"]
        done.rows += shard.rows
        done.bytes += shard.path.stat().st_size
        done.tokens += cost["tokens"]
        done.flops += cost["flops"]
    for beyond in shard_paths(folder)[len(there) :]:  # another pool's, which had more
        beyond.unlink()
    return done


def _start_worker(load: Callable[[], Featurizer]) -> Work:
    """A worker: computes a shard, unless another has it by now; loads nothing before it must."""
    compute: Featurizer | None = None

    def work(job: Job, advance: Progress) -> Shard:
        nonlocal compute
        with FileLock(job.path.with_suffix(".lock")):
            if missing := not job.path.exists():
                start = time.perf_counter()
                files.remove_partial(job.path)
                compute = compute or _load_featurizer(load)
                meter = Meter(advance)
                arrays = compute(job.block["messages"].to_list(), job.side, meter)
                cost = {"tokens": meter.tokens, "flops": meter.flops}
                cost["seconds"] = round(time.perf_counter() - start, 2)
                files.write_json(job.path.with_suffix(".json"), cost)
                with files.atomic_write(job.path) as temporary:
                    save_file(arrays, temporary)
            else:
                advance(job.block.height)
        job.path.with_suffix(".lock").unlink(missing_ok=True)
        return Shard(job.path, job.block.height, missing)

    return work


def _load_featurizer(load: Callable[[], Featurizer]) -> Featurizer:
    try:
        return load()
    except (MemoryError, OSError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    raise InputError(
        "out of memory before the first row: the model that looks does not fit. Choose a smaller "
        "`selector_model`, set its `dtype: bfloat16`, or give `engine.local` more `memory`."
    )


class Meter:
    """Adds up what a feature says of a shard, and moves the progress bar."""

    def __init__(self, advance: Progress) -> None:
        self.advance, self.tokens, self.flops = advance, 0, 0.0

    def __call__(self, row_count: int, tokens: int = 0, flops: float = 0.0, /) -> None:
        self.advance(row_count)
        self.tokens += tokens
        self.flops += flops


def _cost(path: Path) -> dict[str, Any]:
    """What a finished shard took; beside it, since a shard's own bytes never differ."""
    beside = path.with_suffix(".json")
    nothing = {"seconds": 0.0, "tokens": 0, "flops": 0.0}
    return nothing | (json.loads(beside.read_text()) if beside.exists() else {})


def _content_hash(block: pl.DataFrame, side: str) -> str:
    text = block.select("messages").write_json()
    return hashlib.sha256(f"{side}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def shard_paths(folder: Path) -> list[Path]:
    """The shards of one side, in order; none where the method has no features."""
    return sorted(folder.glob("*.safetensors"))


def row_count(path: Path) -> int:
    """The number of rows in a shard, from its head."""
    with safe_open(path, framework="numpy") as file:
        return file.get_slice(next(iter(file.keys()))).get_shape()[0]


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a shard: all, or those of these names."""
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in (file.keys() if names is None else names)}


def read_all(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of one side, whole."""
    parts = [read_arrays(path) for path in shard_paths(folder)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


#: (conversations: lists of role and content; "pool" or "queries"; who is told of what is done) →
#: arrays by name, each with one entry a row. No row's values may depend on the other rows. Where
#: a row has nothing to be measured, or the model overflows, a number is NaN or infinite.
Featurizer = Callable[[list[list[dict[str, str]]], str, Progress], dict[str, np.ndarray]]
