"""Resumable sharded work: the features of a table's rows, a file per shard.

A shard is computed under a file lock, written to a temporary name in the scratch folder, renamed,
and hard-linked into the stage's out. Its name there is a hash of the rows' content, in a folder
named by everything else that decides their features. So no shard is computed twice: not after a
kill, not by another experiment, and not for a pool that has grown.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from safetensors import safe_open
from safetensors.numpy import save_file

from dataselect import report
from dataselect.compute import Engine, Run, Work
from dataselect.compute.local import local
from dataselect.compute.memory import is_out_of_memory
from dataselect.data import files, locks, tables
from dataselect.data.checksums import print_changed
from dataselect.data.chunking import chunks
from dataselect.data.examples import content_columns, examples
from dataselect.data.shard_records import (
    Meter,
    ShardTotals,
    is_whole,
    read_record,
    versions_of,
    write_record,
)
from dataselect.data.stored_shards import KEY_FILE, WiderFolder, read_key, take_columns
from dataselect.data.tables import Message
from dataselect.errors import InputError
from dataselect.report import Progress

#: Rows per shard, on average: seconds to minutes of work. Features with slower or larger rows set
#: their own `rows_per_shard`.
ROWS_PER_SHARD = 2_048

#: (rows, side, progress) → {name: array with one entry a row}. `rows` are conversations, a query's
#: may be an `Example`; `side` is "pool" or "queries". No row's values may depend on other rows.
#: Where a row has nothing to measure, or the model overflows, a number is NaN or infinite.
Featurizer = Callable[[list[list[Message]], str, Progress], dict[str, np.ndarray]]


class Job(NamedTuple):
    """A shard to compute: its file, `pool` or `queries`, and the rows with their messages."""

    path: Path
    side: str
    block: pl.DataFrame


class Shard(NamedTuple):
    """A finished shard: its file, its number of rows, and whether this run computed it."""

    path: Path
    rows: int
    computed: bool


@contextmanager
def open_writer(
    load: Callable[[], Featurizer],
    key: list[Any],
    engine: Engine | None = None,
    home: Path | None = None,
    wider: Sequence[WiderFolder] = (),
) -> Generator[Callable[..., ShardTotals]]:
    """Yields `write`, which writes the features of a table; workers live until the context ends.

    Args:
        load: returns the featurizer; a worker calls it at the first shard to compute, so that a
            run with nothing to do loads no model. Travels between processes.
        key: everything that decides the features besides the rows: settings, model, code.
        engine: where the work runs; None: in this process.
        home: the folder of the shards; None: in the scratch folder.
        wider: folders whose shards hold what is wanted, and more: nothing of it is computed again.
    """
    folder = shards_folder(key, home)
    if read_key(folder) is None:
        files.write_json(folder / KEY_FILE, key)
    with (engine or local(workers=1)).open(partial(_start_worker, load, wider)) as run:
        yield partial(_write, run, folder)


def write(
    side: str,
    table: Path,
    out: Path,
    load: Callable[[], Featurizer],
    key: list[Any],
    rows: int = ROWS_PER_SHARD,
    home: Path | None = None,
) -> ShardTotals:
    """Writes the features of one table in this process: see `open_writer` and `_write`."""
    with open_writer(load, key, home=home) as put:
        return put(side, table, out, rows)


def shards_folder(key: list[Any], home: Path | None = None) -> Path:
    """The folder of the shards that a key decides."""
    return (home or files.scratch_folder() / "embed") / files.content_key(key)


def shard_jobs(folder: Path, side: str, table: Path, rows: int) -> Iterator[Job]:
    """A job per shard of a table, with the file that it has in the folder of its key.

    Args:
        side: `pool` or `queries`: which table it is.
        rows: rows per shard, on average.
    """
    for block in chunks(tables.iter_batches(side, table, 4_096), rows):
        yield Job(folder / f"{_content_hash(block, side)}.safetensors", side, block)


def _write(
    run: Run, home: Path, side: str, table: Path, out: Path, rows: int = ROWS_PER_SHARD
) -> ShardTotals:
    """Writes the features of a table's rows to `out/<side>/00000.safetensors` and so on.

    Args:
        home: the folder of the shards.
        side: `pool` or `queries`: which table it is.
        rows: rows per shard, on average: see `chunking`.
    """
    finished: list[Shard] = []
    with report.progress(f"embed {side}", tables.row_count(table)) as progress:

        def missing() -> Iterator[Job]:
            for job in shard_jobs(home, side, table, rows):
                finished.append(Shard(job.path, job.block.height, computed=False))
                if is_whole(job.path):
                    progress(job.block.height)
                else:
                    if job.path.exists():
                        print_changed(job.path)
                    yield job._replace(block=job.block.select(content_columns(side, job.block)))

        computed = {shard.path for shard in run(missing(), progress) if shard.computed}
    return _link_shards(finished, computed, out / side)


def _link_shards(finished: list[Shard], computed: set[Path], folder: Path) -> ShardTotals:
    """Links the shards into the out, in order, and adds up what they took."""
    totals = ShardTotals()
    for number, shard in enumerate(finished):
        files.hardlink_or_copy(shard.path, folder / f"{number:05d}.safetensors")
        record = read_record(shard.path)
        if shard.path in computed:
            totals.computed += 1
        else:
            totals.found += 1
            totals.earlier_seconds += record["seconds"]
        totals.rows += shard.rows
        totals.bytes += shard.path.stat().st_size
        totals.tokens += record["tokens"]
        totals.flops += record["flops"]
    for path in shard_paths(folder)[len(finished) :]:  # left by a pool with more shards
        path.unlink()
    files.sync(folder)
    return totals


def _start_worker(load: Callable[[], Featurizer], wider: Sequence[WiderFolder]) -> Work:
    """A worker that computes a shard unless it is stored; loads nothing before it must."""
    featurizer: Featurizer | None = None

    def work(job: Job, progress: Progress) -> Shard:
        nonlocal featurizer
        with locks.exclusive(job.path.with_suffix(".lock"), "a part of the features"):
            start = time.perf_counter()
            if missing := not is_whole(job.path):
                for path in (job.path, job.path.with_suffix(".json")):
                    files.remove_partial(path)
                missing = not take_columns(job.path, job.block.height, wider)
            if missing:
                featurizer = featurizer or _load_featurizer(load)
                meter = Meter(progress)
                arrays = featurizer(examples(job.block), job.side, meter)
                record = {"tokens": meter.tokens, "flops": meter.flops}
                record["seconds"] = round(time.perf_counter() - start, 2)
                record["versions"] = dict(versions_of(featurizer))
                with files.atomic_write(job.path) as temporary:
                    save_file(arrays, temporary)
                    write_record(job.path, record, temporary)
            else:
                progress(job.block.height)
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
        "out of memory before the first row: the selector model does not fit. Choose a smaller "
        "`selector_model`, set its `dtype: bfloat16`, or give `engine.local` more `memory`."
    )


def _content_hash(block: pl.DataFrame, side: str) -> str:
    text = block.select(content_columns(side, block)).write_json()
    return hashlib.sha256(f"{side}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def shard_paths(folder: Path) -> list[Path]:
    """The shards of one side, in order; none where the method has no features."""
    return sorted(folder.glob("*.safetensors"))


def row_count(path: Path) -> int:
    """The number of rows in a shard, from its header."""
    with safe_open(path, framework="numpy") as file:
        return file.get_slice(next(iter(file.keys()))).get_shape()[0]


def read_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a shard: all, or those with these names."""
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in (file.keys() if names is None else names)}


def read_ahead(path: Path) -> Path:
    """The path of a shard, which the system now reads from the disk while other work goes on."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
    return path


def read_all(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of all shards of one side, joined."""
    parts = [read_arrays(path) for path in shard_paths(folder)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
