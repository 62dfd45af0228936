"""Measures the score stage on made-up features, against the disk and the matrix product.

    python benchmarks/score.py

2,000,000 vectors of 1,024 numbers (fp16, as a model in 16 bits leaves them) against 500 queries of
7 tasks, in shards as the embed stage writes them. In the same process: what is read, the shards'
bytes into memory; what is multiplied, as many matrix products of a shard's shape, in as many
threads; and, on a few shards in one thread, what each part of the stage costs, among them the
conversion and the maxima by plain numpy, which the stage used before.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from measuring import best_of, in_new_process, save_result, temporary_folder, timed
from safetensors.numpy import save_file
from threadpoolctl import threadpool_limits

from dataselect.compute import no_progress
from dataselect.compute.threads import threads
from dataselect.data import shards, tables
from dataselect.data.scores import PoolInfo, Rows, finite_rows
from dataselect.data.shards import ROWS_PER_SHARD
from dataselect.numerics.half import to_float32
from dataselect.score.cosine import cosine, unit
from dataselect.score.run import ScoreSection, score, to_queries
from dataselect.settings import Part

POOL, DIMENSIONS, QUERIES, TASKS = 2_000_000, 1_024, 500, 7
TURN = [{"role": "user", "content": "q"}]


def main() -> None:
    """Makes the features, scores them, and measures what limits that; `--small` saves nothing."""
    small = "--small" in sys.argv
    with temporary_folder() as home:
        make(home, 10_000 if small else POOL)
        result = in_new_process("score", "measure", home=str(home))
        if not small:
            save_result("score", result)


def make(home: Path, pool: int, dimensions: int = DIMENSIONS) -> None:
    """A pool, queries, and their features: one block of vectors repeated, its axes shifted."""
    rng = np.random.default_rng(0)
    features = home / "features"
    (features / "pool").mkdir(parents=True)
    rows = rng.standard_normal((ROWS_PER_SHARD, dimensions), dtype=np.float32)
    with tables.open_writer("pool", home / "pool.parquet") as put:
        for number, first in enumerate(range(0, pool, ROWS_PER_SHARD)):
            count = min(ROWS_PER_SHARD, pool - first)
            block = np.roll(rows[:count], number, axis=1).astype(np.float16)
            save_file({"vectors": block}, features / f"pool/{number:05d}.safetensors")
            put(_rows(first, count))
    write_queries(home, dimensions)


def write_queries(home: Path, dimensions: int) -> None:
    """Queries of some tasks, with their vectors."""
    folder = home / "features/queries"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((QUERIES, dimensions), dtype=np.float32)
    save_file({"vectors": queries}, folder / "00000.safetensors")
    names = [str(number) for number in range(QUERIES)]
    columns = tables.schema("queries")
    values: dict[str, list[Any]] = {name: [None] * QUERIES for name in columns}
    values |= {"task": [f"t{int(n) % TASKS}" for n in names], "id": names}
    values |= {"messages": [TURN] * QUERIES}
    frame = pl.DataFrame(values, schema=columns)
    tables.write("queries", frame, home / "queries.parquet")


def _rows(first: int, count: int) -> pl.DataFrame:
    rows = range(first, first + count)
    return pl.DataFrame(
        {"row": rows, "id": [f"{row:08}" for row in rows], "source": ["made up"] * count,
         "messages": [TURN] * count},
        schema=tables.schema("pool"),
    )  # fmt: skip


def measure(home: str) -> dict[str, Any]:
    """Seconds of the stage's work, and of reading and multiplying alone."""
    folder = Path(home)
    section = ScoreSection(scorer=Part("cosine", {"groups": "tasks"}), code="")
    run: dict[str, Any] = {"rows": tables.row_count(folder / "pool.parquet")}
    run |= {"dimensions": DIMENSIONS, "queries": QUERIES, "tasks": TASKS}
    paths = sorted((folder / "features/pool").iterdir())
    drop_from_cache(paths)
    with timed(run):
        score(section, folder, folder / "features")
    drop_from_cache(paths)
    start = time.perf_counter()
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.read(2**24):
                pass
    run["read_seconds"] = round(time.perf_counter() - start, 3)
    a = np.ones((ROWS_PER_SHARD, DIMENSIONS), dtype=np.float32)
    b = np.ones((QUERIES, DIMENSIONS), dtype=np.float32).T
    with (
        timed(run, "product_seconds"),
        threads(lambda: lambda job, progress: Product(a @ b)) as all_,
    ):
        for _ in all_(paths, no_progress):
            pass
    slower = max(run["read_seconds"], run["product_seconds"])
    run["share_of_the_slower"] = round(slower / run["seconds"], 3)
    share = run["cpu_product_seconds"] / run["cpu_seconds"]
    return {**run, "product_share_of_cpu": round(share, 3), "cpu_ms_per_shard": parts(folder)}


class Product(NamedTuple):
    """A product, as an engine's result."""

    array: np.ndarray
    rows: int = ROWS_PER_SHARD


def parts(folder: Path) -> dict[str, float]:
    """What each part of the work costs for a shard, in ms of one core; plain numpy's too."""
    info = PoolInfo(ROWS_PER_SHARD, ["made up"])
    table = tables.read("queries", folder / "queries.parquet")
    queries = to_queries(table, shards.read_all(folder / "features/queries"))
    score = cosine(groups="tasks").prepare(info, queries).score
    path = shards.shard_paths(folder / "features/pool")[0]
    features = shards.read_arrays(path)
    rows = Rows(["id"] * len(features["vectors"]), [], features)
    short = features["vectors"]
    order = np.argsort([int(task[1:]) for task in queries.task], kind="stable")
    long, by_task = unit(short), unit(queries.features["vectors"])[order]
    products, ends = long @ by_task.T, np.arange(1, TASKS + 1) * QUERIES // TASKS
    assert np.array_equal(to_float32(short), short.astype(np.float32))
    work = {
        "read": lambda: shards.read_arrays(path),
        "check": lambda: finite_rows(features, ["vectors"]),
        "score": lambda: score(rows),
        "product": lambda: long @ by_task.T,
        "convert": lambda: to_float32(short),
        "plain_convert": lambda: short.astype(np.float32),
        "lengths": lambda: np.einsum("bd,bd->b", long, long),
        "maxima": lambda: np.maximum.reduceat(products, [0, *ends[:-1]], axis=1),
        "plain_maxima": lambda: [products[:, e - 71 : e].max(axis=1) for e in ends],
    }
    with threadpool_limits(1):
        return {name: round(best_of(20, f, time.thread_time) * 1e3, 3) for name, f in work.items()}


def drop_from_cache(paths: list[Path]) -> None:
    """Drops files from the system's cache, so that they are read from the disk."""
    if hasattr(os, "posix_fadvise"):
        for path in paths:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
