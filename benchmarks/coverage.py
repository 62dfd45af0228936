"""Measures the seconds and the memory of the coverage scorer, against lazy and plain greedy.

    python benchmarks/coverage.py [--sizes ROWS ROWS …]

Made-up unit vectors in clusters, a budget of 5%, each size in a process of its own, so that one's
peak is not another's. Afterwards, in the same process and on one core: lazy greedy (Minoux 1978),
which the scorer was before; and at the smallest size plain greedy, which computes every gain again
in every round. The result is `benchmarks/results/coverage.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
from measuring import in_new_process, peak_mb, save_result, timed
from threadpoolctl import threadpool_limits

from dataselect.data.scores import Pool, PoolInfo, Rows
from dataselect.numerics.cover import TIE
from dataselect.score.coverage import coverage

SIZES = (3_000, 12_000, 60_000)
DIMENSIONS = 256
BUDGET = "5%"
CLUSTER = 100  # rows, on average
WIDTH, ROWS = 64, 2_048  # of lazy and plain greedy: candidates and rows compared at a time


def main() -> None:
    """Runs every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    sizes = parser.parse_args().sizes
    plain = min(sizes)
    runs = [in_new_process("coverage", "measure", size=n, plain=n == plain) for n in sizes]
    save_result("coverage", {"dimensions": DIMENSIONS, "budget": BUDGET, "runs": runs})


def measure(size: int, plain: bool) -> dict[str, Any]:
    """One size: seconds and the peak memory of this process; the seconds of the other ways."""
    run: dict[str, Any] = {"rows": size, "peak_mb_before": peak_mb()}
    pool = Pool(PoolInfo(size, ["made up"]), blocks(size))
    with timed(run):
        (column,) = coverage(budget=BUDGET).score(pool).blocks
    run["scorer_peak_mb"] = peak_mb()
    scores = np.asarray(column)[:, 0]
    chosen = np.argsort(-scores, kind="stable")[: np.isfinite(scores).sum()].tolist()
    run["chosen"] = len(chosen)
    unit = np.concatenate([rows.features["vectors"] for rows in blocks(size)])
    run["covers"] = covers(unit, chosen)
    others = {"lazy": lazy_greedy, "plain": plain_greedy}
    for name, way in others.items():
        if name == "lazy" or plain:
            with threadpool_limits(1), timed(run, f"{name}_seconds"):
                found = way(unit, len(chosen))
            run[f"{name}_same_order"] = found == chosen
            run[f"{name}_same_rows"] = len(set(found) & set(chosen))
            run[f"{name}_covers"] = covers(unit, found)
            run[f"{name}_over_this"] = round(run[f"{name}_seconds"] / run["seconds"], 1)
            cpu = run[f"cpu_{name}_seconds"] / run["cpu_seconds"]
            run[f"cpu_{name}_over_this"] = round(cpu, 1)
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


def lazy_greedy(unit: np.ndarray, n: int) -> list[int]:
    """A gain only falls, so an earlier one is a bound: only the highest are computed again."""
    covered = np.zeros(len(unit), dtype=np.float32)
    everyone, chosen = np.arange(len(unit)), []
    bounds = np.concatenate(
        [gains_of(unit, everyone[first : first + WIDTH], covered)
         for first in range(0, len(unit), WIDTH)]
    )  # fmt: skip
    for _ in range(n):
        fresh = bounds <= 0  # these cannot fall further
        while not fresh[near := np.flatnonzero(bounds >= bounds.max() - TIE)].all():
            highest = np.argpartition(np.where(fresh, np.inf, -bounds), WIDTH - 1)[:WIDTH]
            bounds[highest] = np.minimum(bounds[highest], gains_of(unit, highest, covered))
            fresh[highest] = True
        chosen.append(int(near[0]))
        bounds[near[0]] = -np.inf
        np.maximum(covered, unit @ unit[near[0]], out=covered)
    return chosen


def plain_greedy(unit: np.ndarray, n: int) -> list[int]:
    """The definition: every gain again in every round, a block of rows at a time."""
    covered, chosen = np.zeros(len(unit), dtype=np.float32), []
    everyone = np.arange(len(unit))
    for _ in range(n):
        starts = range(0, len(unit), WIDTH)
        gains = [gains_of(unit, everyone[first : first + WIDTH], covered) for first in starts]
        added = np.concatenate(gains)
        added[chosen] = -np.inf
        chosen.append(int(np.flatnonzero(added >= added.max() - TIE)[0]))
        np.maximum(covered, unit @ unit[chosen[-1]], out=covered)
    return chosen


def covers(unit: np.ndarray, chosen: list[int]) -> float:
    """How well rows represent all: the mean similarity of a row to the nearest of them."""
    covered = np.zeros(len(unit), dtype=np.float32)
    for first in range(0, len(chosen), WIDTH):
        similar = unit @ unit[chosen[first : first + WIDTH]].T
        np.maximum(covered, similar.max(axis=1), out=covered)
    return float(covered.mean(dtype=np.float64))


def gains_of(unit: np.ndarray, candidates: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """What each candidate (c, numbers) adds to what is covered (m): c, float64."""
    vectors, gains = unit[candidates], np.zeros(len(candidates))
    for first in range(0, len(unit), ROWS):
        added = vectors @ unit[first : first + ROWS].T
        added -= covered[first : first + ROWS]
        gains += np.maximum(added, 0, out=added).sum(axis=1, dtype=np.float64)
    return gains


if __name__ == "__main__":
    main()
