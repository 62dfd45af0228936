"""Measures the seconds and the memory of the coverage scorer, and how much its laziness saves.

    OMP_NUM_THREADS=1 python benchmarks/coverage.py [--size ROWS]

Made-up unit vectors in clusters, a budget of 5%, each size in a process of its own, so that one's
peak is not another's. At the smallest size plain greedy, which computes every gain again in every
round, runs in the same process. The result is `benchmarks/results/coverage.json`; `--size` prints
the figures of one size instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import peak_mb

from dataselect.data.scores import Pool, PoolInfo, Rows
from dataselect.score.coverage import ROWS, TIE, coverage

SIZES = (3_000, 12_000, 60_000)
DIMENSIONS = 256
BUDGET = "5%"
CLUSTER = 100  # rows, on average
RESULT = Path(__file__).parent / "results" / "coverage.json"


def main() -> None:
    """Runs every size, or prints the figures of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    if arguments.size:
        print(json.dumps(measure(arguments.size)))  # noqa: T201
        return
    runs = []
    for size in SIZES:
        command = [sys.executable, __file__, "--size", str(size)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        runs.append(json.loads(output))
        print(runs[-1], flush=True)  # noqa: T201
    setting = {
        "dimensions": DIMENSIONS,
        "budget": BUDGET,
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({**setting, "runs": runs}, indent=1) + "\n")


def measure(size: int) -> dict[str, Any]:
    """One size: seconds, the peak memory of this process, and plain greedy at the smallest."""
    before = peak_mb()
    start, cpu = time.perf_counter(), time.process_time()
    pool = Pool(PoolInfo(size, ["made up"]), blocks(size))
    (column,) = coverage(budget=BUDGET).score(pool).blocks
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    scores = np.asarray(column)[:, 0]
    chosen = np.argsort(-scores, kind="stable")[: np.isfinite(scores).sum()]
    run = {
        "rows": size,
        "chosen": len(chosen),
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),  # less where another process used the core
        "peak_mb": peak_mb(),
        "peak_mb_before": before,
    }
    if size == min(SIZES):
        start = time.perf_counter()
        plain = plain_greedy(size, len(chosen))
        run["plain_seconds"] = round(time.perf_counter() - start, 2)
        run["plain_over_lazy"] = round(run["plain_seconds"] / seconds, 1)
        run["same_order"] = plain == chosen.tolist()
    return run


def blocks(size: int) -> Iterator[Rows]:
    """Rows around random centres, in blocks that are made when they are read."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((size // CLUSTER, DIMENSIONS), dtype=np.float32)
    for first in range(0, size, ROWS):
        ids = [f"{row:06}" for row in range(first, min(first + ROWS, size))]
        vectors = rng.standard_normal((len(ids), DIMENSIONS), dtype=np.float32)
        vectors += centres[rng.integers(len(centres), size=len(ids))]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        yield Rows(ids, ["made up"] * len(ids), {"vectors": vectors})


def plain_greedy(size: int, n: int) -> list[int]:
    """The definition: every gain again in every round, a block of rows at a time."""
    unit = np.concatenate([rows.features["vectors"] for rows in blocks(size)])
    covered, chosen = np.zeros(size, dtype=np.float32), []
    for _ in range(n):
        gains = np.zeros(size)
        for first in range(0, size, 256):
            added = unit[first : first + 256] @ unit.T
            added -= covered
            gains[first : first + 256] = np.maximum(added, 0, out=added).sum(axis=1, dtype=float)
        gains[chosen] = -np.inf
        chosen.append(int(np.flatnonzero(gains >= gains.max() - TIE)[0]))
        np.maximum(covered, unit @ unit[chosen[-1]], out=covered)
    return chosen


if __name__ == "__main__":
    main()
