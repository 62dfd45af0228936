"""Prints a benchmark's result as the tables of LOG.md: losses, where rows come from, costs.

python benchmarks/table.py benchmarks/methods/sample.yaml
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from dataselect.plan.params import read_yaml

ROOT = Path(__file__).parent.parent
STAGES = ("reference", "embed", "score", "aggregate", "train")
Runs = list[dict[str, Any]]


def main() -> None:
    """Prints the three tables, best mean loss first."""
    settings = read_yaml(sys.argv[1])
    result = ROOT / "benchmarks" / "results" / f"{Path(sys.argv[1]).stem}.json"
    runs = json.loads(result.read_text())["runs"]
    by_method: dict[str, Runs] = {}
    for run in runs:
        by_method.setdefault(run["method"], []).append(run)
    named = [
        (f"{name} ({len(seeds)})" if len(seeds) > 1 else name, seeds)
        for name, seeds in sorted(by_method.items(), key=lambda item: mean(item[1], "mean"))
    ]
    show(losses(named, list(runs[0]["scores"]["tasks"])))
    show(shares(named, settings["targets"]))
    if all("cost" in run for run in runs):
        show(costs(named))


def show(rows: list[list[str]]) -> None:
    """One Markdown table; its first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    print("\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]), end="\n\n")  # noqa: T201


def mean(runs: Runs, task: str) -> float:
    """The loss of the gold answers, nats per token, over the seeds."""
    return statistics.mean(values(runs, task))


def values(runs: Runs, task: str) -> list[float]:
    """The loss of each seed; `mean` for the mean over tasks."""
    scores = [run["scores"] for run in runs]
    return [(s["mean"] if task == "mean" else s["tasks"][task])["answer_nll_nats"] for s in scores]


def losses(named: list[tuple[str, Runs]], tasks: list[str]) -> list[list[str]]:
    """Nats per token of the gold answers, by task; before training in the first row."""
    before = named[0][1][0]["before"]
    first = [f"{before['tasks'][t]['answer_nll_nats']:.3f}" for t in tasks]
    rows = [["chosen by", *tasks, "mean"]]
    rows.append(["(before training)", *first, f"{before['mean']['answer_nll_nats']:.3f}"])
    for name, runs in named:
        means = values(runs, "mean")
        spread = f" ± {statistics.stdev(means):.3f}" if len(means) > 1 else ""
        by_task = [f"{mean(runs, task):.3f}" for task in tasks]
        rows.append([name, *by_task, f"{statistics.mean(means):.3f}{spread}"])
    return rows


def shares(named: list[tuple[str, Runs]], targets: dict[str, list[str]]) -> list[list[str]]:
    """The share of the chosen rows that come from each task's sources."""
    rows = [["chosen by", *targets, "all of these"]]
    for name, runs in named:
        parts = [
            statistics.mean(_share(run, sources) for run in runs) for sources in targets.values()
        ]
        rows.append([name, *(f"{part:.0%}" for part in parts), f"{sum(parts):.0%}"])
    return rows


def _share(run: dict[str, Any], sources: list[str]) -> float:
    rows = run["rows_per_source"]
    return sum(rows.get(source, 0) for source in sources) / sum(rows.values())


def costs(named: list[tuple[str, Runs]]) -> list[list[str]]:
    """Seconds by stage; bytes of features; FLOPs of selection and training, in units of 10¹²."""
    head = ["chosen by", *(f"{stage} s" for stage in STAGES), "features MB"]
    rows = [[*head, "FLOPs: tokens", "paper", "plots"]]
    for name, runs in named:
        paid = [run["cost"] for run in runs]
        seconds = [statistics.mean(c["seconds"][stage] or 0 for c in paid) for stage in STAGES]
        flops = [_flops(paid, formula) for formula in ("tokens", "paper", "plotting_code")]
        size = paid[0]["bytes"]["embed"] / 1e6
        rows.append([name, *(f"{s:,.1f}" for s in seconds), f"{size:,.1f}", *flops])
    return rows


def _flops(paid: list[dict[str, Any]], formula: str) -> str:
    selection, training = (
        statistics.mean(cost["flops"][formula][part] for cost in paid) / 1e12
        for part in ("selection", "training")
    )
    return f"{selection:,.1f} + {training:,.1f}"


if __name__ == "__main__":
    main()
