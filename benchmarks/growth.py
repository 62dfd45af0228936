"""Measures how time and memory grow with the pool: score, aggregate and embed.

    OMP_NUM_THREADS=2 python benchmarks/growth.py

Score and aggregate on made-up vectors; embed on rows of ../shared (not shipped) with the tests'
own 0.4 M-parameter model, so that the largest takes minutes. A process a case. The result is also
drawn, as `benchmarks/results/growth.svg`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import polars as pl
from measuring import RESULTS, apart, folder, keep, timed
from score import make

ROOT = Path(__file__).parent.parent
MADE_UP, REAL = (10_000, 100_000, 1_000_000), (1_000, 10_000, 60_000)
CHOSEN = 0.05


def main() -> None:
    """Every size of every stage; then the plot."""
    runs = []
    for rows in MADE_UP:
        with folder() as home:
            make(home, rows, dimensions=256)
            stages = ("score", "aggregate")
            runs += [{"stage": name, **apart("growth", name, home=str(home))} for name in stages]
    for rows in REAL:
        with folder() as home:
            take(home, rows)
            runs.append({"stage": "embed", **apart("growth", "embed", home=str(home))})
    keep("growth", {"threads": os.environ.get("OMP_NUM_THREADS"), "runs": runs})
    draw(RESULTS / "growth.json", RESULTS / "growth.svg")


def score(home: str) -> dict[str, Any]:
    """The score stage's work."""
    from dataselect.data import tables
    from dataselect.score.run import score

    where = Path(home)
    run: dict[str, Any] = {"rows": tables.row_count(where / "pool.parquet")}
    section = {"scorer": {"name": "cosine", "settings": {"groups": "tasks"}}}
    with timed(run):
        score(section, where, where / "features")
    return run


def aggregate(home: str) -> dict[str, Any]:
    """The aggregate stage's work, the training file included."""
    from dataselect.aggregate.run import select
    from dataselect.data import tables

    where = Path(home)
    rows = tables.row_count(where / "pool.parquet")
    tables.write("dropped", tables.empty("dropped"), where / "dropped.parquet")
    section = {"aggregator": {"name": "round_robin", "settings": {}}, "budget": int(rows * CHOSEN)}
    run: dict[str, Any] = {"rows": rows}
    with timed(run):
        select(section, where)
    return run


def take(home: Path, rows: int) -> None:
    """A pool of so many real rows, and no reference."""
    from dataselect.data import tables

    pool = pl.read_parquet(ROOT.parent / "shared/data/pool.parquet").head(rows)
    numbered = pool.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered.select(list(tables.SCHEMAS["pool"])), home / "pool.parquet")
    (home / "reference").mkdir()
    (home / "reference/reference.json").write_text(json.dumps({"checkpoints": []}))


def embed(home: str) -> dict[str, Any]:
    """The embed stage's work on real rows."""
    from dataselect.embed.run import embed, load

    model = {"name": str(ROOT / "tests/golden/tiny-llama"), "revision": None, "dtype": "auto",
             "chat": "tulu", "max_tokens": 512, "trust_remote_code": False}  # fmt: skip
    settings = {"pooling": "weighted_mean", "over": "all", "unit": True}
    features = {"name": "hidden_states", "settings": settings}
    section = {"features": features, "model": model, "queries": False, "reference": False}
    os.chdir(home)  # and so a scratch folder of its own
    load(section, Path("reference"))  # what a run does once, and a cold disk decides
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
        mine = [run for run in runs if run["stage"] == stage]
        rows = [run["rows"] for run in mine]
        left.loglog(rows, [run["seconds"] for run in mine], marker="o", label=stage)
        right.loglog(rows, [run["peak_mb"] for run in mine], marker="o", label=stage)
    left.set(xlabel="rows", ylabel="seconds", title="Time")
    right.set(xlabel="rows", ylabel="MB at most", title="Memory", ylim=(50, 10_000))
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    plt.rcParams["svg.hashsalt"] = "dataselect"  # same figures, same bytes
    figure.savefig(to, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
