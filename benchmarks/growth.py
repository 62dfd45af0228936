"""Measures how time and memory grow with the pool, stage by stage.

    OMP_NUM_THREADS=2 python benchmarks/growth.py [--only CASE …] [--small]

Dedup, aggregate and the scorers on made-up rows of real lengths and made-up features; features and
tokens on rows of ../shared (not shipped), with the tests' own 0.4 M-parameter model. Each case in a
process of its own, which may write to at most 2 GB (the system's RLIMIT_DATA): beyond, it ends with
a message, which is noted. `peak_mb` is what it held at once in memory, of shared files too. The
result is also drawn, as `benchmarks/results/growth.svg`. `--only` and `--small` save nothing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import growth_cases as cases
from measuring import RESULTS, in_new_process, save_result, temporary_folder

LIMIT_MB = 2_000
MADE_UP, REAL, FEW = (10_000, 100_000, 500_000), (1_000, 5_000, 25_000), (500, 2_000, 8_000)

#: Case → its feature, where it is a scorer that reads one.
SCORED = {"score": "vectors", "perplexity": "response_nll", "clusters": "nll"}


def main() -> None:
    """Every size of every case; then the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    runs: list[dict[str, Any]] = []

    def run(case: str, work: str, home: Path, **more: Any) -> None:
        if not arguments.only or case in arguments.only:
            runs.append({"case": case, **measured(work, home, **more)})

    parts: dict[Callable[..., None], tuple[int, ...]] = {
        made_up: MADE_UP, represented: FEW, embedded: REAL, fitted: FEW,
    }  # fmt: skip
    for part, sizes in parts.items():
        for rows in (500,) if arguments.small else sizes:
            with temporary_folder() as home:
                part(run, home, rows)
    if not arguments.small and not arguments.only:
        threads = os.environ.get("OMP_NUM_THREADS")
        save_result("growth", {"threads": threads, "limit_mb": LIMIT_MB, "runs": runs})
        draw(RESULTS / "growth.json", RESULTS / "growth.svg")


def measured(work: str, home: Path, **more: Any) -> dict[str, Any]:
    """The figures of a function of growth_cases.py; how it ended, where it left no message."""
    try:
        return in_new_process("growth_cases", work, home=str(home), limit=LIMIT_MB, **more)
    except CalledProcessError as error:
        return {"failed": f"exit status {error.returncode}"}


def made_up(run: Callable[..., None], home: Path, rows: int) -> None:
    """What reads a pool of made-up rows: dedup, scorers, aggregate."""
    cases.write_made_up(home, rows)
    run("dedup", "dedup", home)
    if not (home / "pool.parquet").exists():
        cases.dedup(str(home), 10**6)
    for case, feature in SCORED.items():
        cases.write_features(home, feature)
        run(case, "score", home, name=case)
    cases.write_scores(home)
    run("aggregate 5%", "aggregate", home, share=0.05)
    run("aggregate 50%", "aggregate", home, share=0.5)


def represented(run: Callable[..., None], home: Path, rows: int) -> None:
    """The scorer whose time grows with the square of the pool."""
    cases.write_real_rows(home, rows)
    cases.write_features(home, "vectors")
    run("coverage", "score", home, name="coverage")


def embedded(run: Callable[..., None], home: Path, rows: int) -> None:
    """What reads real rows: features, and the tokens of training."""
    cases.write_real_rows(home, rows)
    run("tokens", "tokens", home)
    run("embed", "embed", home, name="embed")
    run("losses", "embed", home, name="losses")


def fitted(run: Callable[..., None], home: Path, rows: int) -> None:
    """LoRA gradients of real rows."""
    cases.write_real_rows(home, rows, fitted=True)
    run("gradients", "embed", home, name="gradients")


def draw(result: Path, to: Path) -> None:
    """Seconds and memory against rows, both axes logarithmic: straight lines, and flat ones."""
    import matplotlib.pyplot as plt

    runs = json.loads(result.read_text())["runs"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    styles = ("o-", "s--", "^:")
    for number, case in enumerate(dict.fromkeys(run["case"] for run in runs)):
        of_case = [run for run in runs if run["case"] == case and "failed" not in run]
        rows = [run["rows"] for run in of_case]
        style = {"color": f"C{number % 10}", "markersize": 4}
        for axes, name in ((left, "seconds"), (right, "peak_mb")):
            axes.loglog(
                rows, [run[name] for run in of_case], styles[number // 4], **style, label=case
            )
    right.axhline(LIMIT_MB, color="grey", linewidth=0.8)
    right.annotate("the limit", (600, LIMIT_MB), va="bottom", color="grey", fontsize=8)
    left.set(xlabel="rows", ylabel="seconds", title="Time")
    right.set(xlabel="rows", ylabel="peak MB", title="Memory", ylim=(50, 4_000))
    for axes in (left, right):
        axes.grid(visible=True, alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), loc="outside right center")
    plt.rcParams["svg.hashsalt"] = "dataselect"  # same figures, same bytes
    figure.savefig(to, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
