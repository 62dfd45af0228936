"""Measures how time and memory grow with the pool: score, aggregate and embed.

    OMP_NUM_THREADS=2 python benchmarks/growth.py

Score and aggregate on made-up vectors; embed on rows of ../shared (not shipped) with the tests'
own 0.4 M-parameter model, so that the largest takes minutes. Each case in a process of its own. The
result is also drawn, as `benchmarks/results/growth.svg`. `--small` runs a few rows, and saves
nothing.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import polars as pl
from measuring import RESULTS, in_new_process, save_result, temporary_folder, timed

from dataselect.aggregate.run import AggregateSection
from dataselect.data import tables
from dataselect.data.checkpoints import REFERENCE_FILE, write_checkpoints
from dataselect.embed.run import EmbedSection
from dataselect.models.settings import ModelSettings
from dataselect.score.run import ScoreSection
from dataselect.settings import Part
from score import make

ROOT = Path(__file__).parent.parent
MADE_UP, REAL = (10_000, 100_000, 1_000_000), (1_000, 10_000, 60_000)
CHOSEN = 0.05
MODEL = ModelSettings(name=str(ROOT / "tests/golden/tiny-llama"), max_tokens=512)
FEATURES = Part("hidden_states", {"pooling": "weighted_mean", "over": "all", "unit": True})


def main() -> None:
    """Every size of every stage; then the plot."""
    small = "--small" in sys.argv
    runs = []
    for rows in (2_000,) if small else MADE_UP:
        with temporary_folder() as home:
            make(home, rows, dimensions=256)
            runs += [run_stage("score", home), run_stage("aggregate", home)]
    for rows in (100,) if small else REAL:
        with temporary_folder() as home:
            write_real_rows(home, rows)
            runs.append(run_stage("embed", home))
    if small:
        return
    save_result("growth", {"threads": os.environ.get("OMP_NUM_THREADS"), "runs": runs})
    draw(RESULTS / "growth.json", RESULTS / "growth.svg")


def run_stage(name: str, home: Path) -> dict[str, Any]:
    """The figures of one of the functions below, in a process of its own."""
    return {"stage": name, **in_new_process("growth", name, home=str(home))}


def score(home: str) -> dict[str, Any]:
    """The score stage's work."""
    from dataselect.score.run import score

    folder = Path(home)
    run: dict[str, Any] = {"rows": tables.row_count(folder / "pool.parquet")}
    section = ScoreSection(scorer=Part("cosine", {"groups": "tasks"}), code="")
    with timed(run):
        score(section, folder, folder / "features")
    return run


def aggregate(home: str) -> dict[str, Any]:
    """The aggregate stage's work, the training file included."""
    from dataselect.aggregate.run import select

    folder = Path(home)
    rows = tables.row_count(folder / "pool.parquet")
    tables.write("dropped", tables.empty("dropped"), folder / "dropped.parquet")
    budget = int(rows * CHOSEN)
    section = AggregateSection(aggregator=Part("round_robin", {}), budget=budget, code="")
    run: dict[str, Any] = {"rows": rows}
    with timed(run):
        select(section, folder)
    return run


def write_real_rows(home: Path, rows: int) -> None:
    """A pool of the first real rows, and no reference."""
    pool = pl.read_parquet(ROOT.parent / "shared/data/pool.parquet").head(rows)
    numbered = pool.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered.select(list(tables.schema("pool"))), home / "pool.parquet")
    write_checkpoints(home / "reference" / REFERENCE_FILE, [])


def embed(home: str) -> dict[str, Any]:
    """The embed stage's work on real rows."""
    from dataselect.embed.run import embed, load_feature

    section = EmbedSection(features=FEATURES, model=MODEL, queries=False, reference=False, code="")
    os.chdir(home)  # and so a scratch folder of its own
    load_feature(section, [])  # a run does this once; how long depends on whether files are cached
    run: dict[str, Any] = {}
    with timed(run):
        done = embed(section, Path(home))["pool"]
    return {"rows": done.rows, **run, "tokens": done.tokens}


def draw(result: Path, to: Path) -> None:
    """Seconds and memory against rows, both axes logarithmic: straight lines, and flat ones."""
    import matplotlib.pyplot as plt

    runs = json.loads(result.read_text())["runs"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for stage in dict.fromkeys(run["stage"] for run in runs):
        of_stage = [run for run in runs if run["stage"] == stage]
        rows = [run["rows"] for run in of_stage]
        left.loglog(rows, [run["seconds"] for run in of_stage], marker="o", label=stage)
        right.loglog(rows, [run["peak_mb"] for run in of_stage], marker="o", label=stage)
    left.set(xlabel="rows", ylabel="seconds", title="Time")
    right.set(xlabel="rows", ylabel="peak MB", title="Memory", ylim=(50, 10_000))
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    plt.rcParams["svg.hashsalt"] = "dataselect"  # same figures, same bytes
    figure.savefig(to, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
