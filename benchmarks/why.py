"""Measures `dataselect why` and `dataselect sql` on large made-up outputs.

    python benchmarks/why.py

Scores as in aggregate.py, written as the score stage writes them; ids in no order. Each command is
a process of its own, its start included, the fastest of five. The budget that `why` names is
checked against the choice itself.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from measuring import save_result, temporary_folder

from aggregate import write
from dataselect.aggregate.round_robin import round_robin
from dataselect.aggregate.run import read_scores
from dataselect.aggregate.top import top
from dataselect.data import tables
from dataselect.data.scores import Group

#: Rows, groups, rows chosen.
SIZES = ((580_000, 7, 32_600), (5_800_000, 7, 326_000))
TIMES = 5
ROOT = Path(__file__).parent.parent
BLOCK = 65_536

#: The command `dataselect`, and the most memory that it took.
CODE = """
import atexit
from dataselect.cli import main
from measuring import peak_mb
atexit.register(lambda: print(peak_mb()))
main()
"""


def main() -> None:
    """Runs every size; `--small` runs one on a few rows, and saves nothing."""
    small = "--small" in sys.argv
    runs = []
    for rows, groups, chosen in [(20_000, 7, 1_000)] if small else SIZES:
        for by in ("round_robin", "top"):
            with temporary_folder() as home:
                ranked = make_run(home, rows, groups, chosen, by)
                runs += measure(home, ranked, chosen, {"rows": rows, "groups": groups, "by": by})
    if not small:
        save_result("why", {"runs": runs})


def make_run(home: Path, rows: int, groups: int, chosen: int, by: str) -> np.ndarray:
    """Writes the outputs of a run; returns twice as many rows as are chosen, in their order."""
    out = home / "out"
    out.mkdir()
    shutil.copytree(ROOT / "sql", home / "sql")
    write(out / "scores.parquet", rows, groups)
    names = [Group(f"task {number}", f"task {number}") for number in range(groups)]
    numbered = [(number, *group) for number, group in enumerate(names)]
    table = pl.DataFrame(numbered, schema=tables.schema("groups"), orient="row")
    tables.write("groups", table, out / "groups.parquet")
    ids = np.random.default_rng(0).permutation(rows)
    with tables.open_writer("pool", out / "pool.parquet") as put:
        for first in range(0, rows, BLOCK):
            put(pool_part(first, ids[first : first + BLOCK]))
    aggregator = {"round_robin": round_robin, "top": top}[by]
    picks = aggregator(lambda: read_scores(out / "scores.parquet"), names, 2 * chosen)
    selection = pl.DataFrame({
        "rank": np.arange(chosen), "row": picks.rows[:chosen],
        "id": [f"{name:08}" for name in ids[picks.rows[:chosen]]], "source": ["made up"] * chosen,
        "group": picks.groups[:chosen],
        "task": [names[group].task for group in picks.groups[:chosen]],
        "score": picks.scores[:chosen],
    })  # fmt: skip
    tables.write("selection", selection, out / "selection.parquet")
    section = {"aggregator": {"name": by, "settings": {}}, "budget": chosen}
    (home / "plan.json").write_text(json.dumps({"aggregate": section}))
    return picks.rows


def pool_part(first: int, names: np.ndarray) -> pl.DataFrame:
    """Rows of the pool with a turn of each side."""
    turn = pl.struct(role=pl.lit("user"), content="Question " + pl.col("id"))
    reply = pl.struct(role=pl.lit("assistant"), content="Answer " + pl.col("id"))
    frame = pl.DataFrame({
        "row": np.arange(first, first + len(names)), "id": [f"{name:08}" for name in names]
    })  # fmt: skip
    messages = pl.concat_list(turn, reply)
    return frame.with_columns(source=pl.lit("made up"), messages=messages)


def measure(
    home: Path, ranked: np.ndarray, chosen: int, run: dict[str, Any]
) -> list[dict[str, Any]]:
    """`why` of a chosen row, and of two that were not; and the start of `sql`."""
    ids = pl.scan_parquet(home / "out/pool.parquet").select("id").collect()["id"]
    cases = {"chosen": chosen // 2, "next": chosen, "far": 2 * chosen - 1}
    results = []
    for case, place in cases.items():
        figures = command(home, "why", ids[int(ranked[place])])
        budget = re.search(r"A budget of ([\d,]+) rows", figures.pop("printed"))
        assert budget is not None
        exact = int(budget[1].replace(",", "")) == place + 1
        results.append({**run, "case": case, **figures, "exact": exact})
    figures = command(home, "sql", "-c", "SELECT count(*) FROM pool")
    figures.pop("printed")
    return [*results, {**run, "case": "sql", **figures}]


def command(home: Path, *words: str) -> dict[str, Any]:
    """The seconds of the fastest of some runs, processor time too; and the most memory."""
    best, cpu, peak, printed = float("inf"), float("inf"), 0, ""
    for _ in range(TIMES):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", CODE, *words], cwd=home, check=True, capture_output=True,
            text=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )  # fmt: skip
        best = min(best, time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        cpu = min(cpu, used)
        printed, _, last = done.stdout.strip().rpartition("\n")
        peak = max(peak, int(last))
    print(words, round(best, 2), round(cpu, 2), peak, flush=True)  # noqa: T201
    return {
        "seconds": round(best, 2), "cpu_seconds": round(cpu, 2), "peak_mb": peak,
        "printed": printed,
    }  # fmt: skip


if __name__ == "__main__":
    main()
