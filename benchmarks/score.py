"""Measures the score stage on made-up features, against the disk and the matrix product.

    python benchmarks/score.py

2,000,000 vectors of 1,024 numbers (fp16, as a model in 16 bits leaves them) against 500 queries of
7 tasks, in shards as the embed stage writes them. What is read and multiplied is measured in the
same process: the shards' bytes into memory, and a matrix product of a shard's shape.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import best_of, in_new_process, save_result, temporary_folder, timed
from safetensors.numpy import save_file

from dataselect.data import tables
from dataselect.data.shards import ROWS_PER_SHARD
from dataselect.score.run import ScoreSection, score
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
    for side in ("pool", "queries"):
        (features / side).mkdir(parents=True)
    rows = rng.standard_normal((ROWS_PER_SHARD, dimensions), dtype=np.float32)
    with tables.open_writer("pool", home / "pool.parquet") as put:
        for number, first in enumerate(range(0, pool, ROWS_PER_SHARD)):
            count = min(ROWS_PER_SHARD, pool - first)
            block = np.roll(rows[:count], number, axis=1).astype(np.float16)
            save_file({"vectors": block}, features / f"pool/{number:05d}.safetensors")
            put(_rows(first, count))
    queries = rng.standard_normal((QUERIES, dimensions), dtype=np.float32)
    save_file({"vectors": queries}, features / "queries/00000.safetensors")
    names = [str(number) for number in range(QUERIES)]
    frame = pl.DataFrame(
        {"task": [f"t{int(n) % TASKS}" for n in names], "id": names, "messages": [TURN] * QUERIES,
         "subtask": [None] * QUERIES},
        schema=tables.schema("queries"),
    )  # fmt: skip
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
    b = np.ones((DIMENSIONS, QUERIES), dtype=np.float32)
    run["product_seconds"] = round(best_of(5, lambda: [a @ b for _ in range(10)]) / 10
                                   * run["rows"] / ROWS_PER_SHARD, 3)  # fmt: skip
    slower = max(run["read_seconds"], run["product_seconds"])
    return {**run, "share_of_the_slower": round(slower / run["seconds"], 3)}


def drop_from_cache(paths: list[Path]) -> None:
    """Drops files from the system's cache, so that they are read from the disk."""
    if hasattr(os, "posix_fadvise"):
        for path in paths:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
