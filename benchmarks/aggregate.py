"""Measures exact selection from large score tables, and against the published algorithm.

    python benchmarks/aggregate.py

Made-up scores, written as the score stage writes them; each case in a process of its own. The
published algorithm is `get_top_influences` of hamishivi/automated-instruction-selection@ffcdc7f,
in a few plain lines of ours: nested dictionaries, sorted lists, and all chosen rows searched for
duplicates after every pick.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import in_new_process, save_result, temporary_folder, timed

from dataselect.aggregate.round_robin import round_robin
from dataselect.aggregate.run import read_scores
from dataselect.aggregate.top import top
from dataselect.data import tables
from dataselect.data.quotas import Quotas
from dataselect.data.scores import Group

#: Rows, groups, rows chosen.
SIZES = ((5_800_000, 7, 326_000), (1_000_000, 500, 10_000))
PUBLISHED_SIZE = (100_000, 64, 10_000)
BLOCK_ROWS = 65_536
SHARD_ROWS = 2_048  # rows per block of the table, as the score stage writes them


def main() -> None:
    """Runs every size, and the comparison; `--small` runs both on a few rows, and saves nothing."""
    small = "--small" in sys.argv
    runs, quotas = [], []
    with temporary_folder() as home:
        for rows, groups, chosen in [(20_000, 7, 1_000)] if small else SIZES:
            path = str(home / "scores.parquet")
            write(Path(path), rows, groups)
            size = {"path": path, "groups": groups, "chosen": chosen}
            for by in ("round_robin", "top"):
                runs.append(in_new_process("aggregate", "select", by=by, **size))
                limited = in_new_process("aggregate", "select", by=by, quotas=True, **size)
                ratio = round(limited["seconds"] / runs[-1]["seconds"], 2)
                quotas.append({**limited, "ratio": ratio, "without_mb": runs[-1]["peak_mb"]})
    rows, groups, chosen = (2_000, 8, 200) if small else PUBLISHED_SIZE
    against = in_new_process("aggregate", "compare", rows=rows, groups=groups, chosen=chosen)
    if not small:
        save_result("aggregate", {"runs": runs, "quotas": quotas, "against": against})


def scores(rows: int, groups: int, size: int) -> Iterator[np.ndarray]:
    """Blocks of `size` rows of made-up scores: some rows are good for every group."""
    rng = np.random.default_rng(0)
    for first in range(0, rows, size):
        count = min(size, rows - first)
        block = rng.standard_normal((count, groups), dtype=np.float32)
        yield block + rng.standard_normal((count, 1), dtype=np.float32)


def write(path: Path, rows: int, groups: int) -> None:
    """A scores table, block by block."""
    first = 0
    with tables.open_writer("scores", path) as put:
        for block in scores(rows, groups, SHARD_ROWS):
            count = len(block)
            put(pl.DataFrame({
                "row": pl.int_range(first, first + count, eager=True),
                "id": [f"{row:08}" for row in range(first, first + count)],
                "group": pl.Series([None] * count, dtype=pl.Int64),
                "score": pl.Series(block, dtype=pl.Array(pl.Float32, groups)),
            }))  # fmt: skip
            first += count


def select(path: str, groups: int, chosen: int, by: str, quotas: bool = False) -> dict[str, Any]:
    """One selection from a table: reading it, and choosing; with or without quotas of sources."""
    aggregator = {"round_robin": round_robin, "top": top}[by]
    names = [Group(str(number), None) for number in range(groups)]
    run: dict[str, Any] = {"rows": tables.row_count(path), "groups": groups, "by": by}
    limits = made_up_quotas(run["rows"], chosen) if quotas else None
    with timed(run):
        picks = aggregator(lambda: read_scores(Path(path)), names, chosen, limits)
    return {**run, "chosen": len(picks.rows)}


def made_up_quotas(rows: int, chosen: int) -> Quotas:
    """Three sources of a tenth, 40% and 20% of the rows, at random: exactly 30%, at most, at least.

    All three change the choice: no source is better than another.
    """
    classes = np.random.default_rng(1).choice(4, rows, p=[0.3, 0.1, 0.4, 0.2]).astype(np.uint16)
    share = chosen // 10
    at_least, at_most = [0, 3 * share, 0, 4 * share], [chosen, 3 * share, 2 * share, chosen]
    return Quotas(chosen, classes, ["others", "a", "b", "c"], at_least, at_most)


def compare(rows: int, groups: int, chosen: int) -> dict[str, Any]:
    """Ours and the published way on the same scores, in one process."""
    blocks = list(scores(rows, groups, BLOCK_ROWS))
    names = [Group(str(number), None) for number in range(groups)]
    start = time.perf_counter()
    picks = round_robin(lambda: blocks, names, chosen)
    ours = time.perf_counter() - start
    nested = as_dictionaries(np.concatenate(blocks))
    start = time.perf_counter()
    published = published_round_robin(nested, chosen)
    theirs = time.perf_counter() - start
    return {
        "rows": rows, "groups": groups, "chosen": chosen,
        "seconds": round(ours, 4), "published_seconds": round(theirs, 2),
        "ratio": round(theirs / ours), "same_ids": published == picks.rows.tolist(),
    }  # fmt: skip


Pair = tuple[int, int]


def as_dictionaries(matrix: np.ndarray) -> dict[int, dict[Pair, float]]:
    """Scores in the form of the published code: query → (file, row) → score."""
    return {
        query: {(0, row): score for row, score in enumerate(column.tolist())}
        for query, column in enumerate(matrix.T)
    }


def published_round_robin(nested: dict[int, dict[Pair, float]], n: int) -> list[int]:
    """Sorts every query's rows, and takes the first of each list in turns.

    After each pick duplicates are removed from all chosen rows, which is quadratic. The last round
    is finished, and what is beyond `n` cut off.
    """
    ranked = {
        query: sorted(by_pair.items(), key=lambda item: item[1], reverse=True)
        for query, by_pair in nested.items()
    }
    chosen: list[Pair] = []
    while len(chosen) < n:
        for pairs in ranked.values():
            pair, _ = pairs.pop(0)
            chosen.append(pair)
            chosen = list(dict.fromkeys(chosen))
    return [row for _, row in chosen[:n]]


if __name__ == "__main__":
    main()
