"""The scores of a run as a table: beside the model before training, and beside other methods."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from dataselect import report

Summary = dict[str, dict[str, Any]]


def show(after: Summary, before: Summary | None) -> None:
    """Prints score and loss per task and their means, trained against before."""
    rows = []
    for task, one in [*after["tasks"].items(), ("mean over tasks", after["mean"])]:
        then = None
        if before is not None:
            then = before["mean"] if task == "mean over tasks" else before["tasks"][task]
        rows.append((task, *_cells(then, one)))
    header = ("task", "score", "± s.e.", "score before", "nats/token", "nats before")
    report.table("Scores", rows, header)


def _cells(before: dict[str, Any] | None, after: dict[str, Any]) -> tuple[Any, ...]:
    then = before or {}
    return (
        after["score"],
        after["score_stderr"],
        then.get("score"),
        after["answer_nll_nats"],
        then.get("answer_nll_nats"),
    )


def per_task(after: Summary, before: Summary | None) -> list[dict[str, Any]]:
    """Score a task, after and before training: what `dvc plots` draws."""
    rows = []
    for when, summary in (("trained", after), ("before", before)):
        if summary is not None:
            named = [*summary["tasks"].items(), ("mean", summary["mean"])]
            rows += [{"task": task, "score": one["score"], "of": when} for task, one in named]
    return rows


#: What `benchmarks/methods.py` measured on the demo; committed, so that nobody needs to wait.
DEMO = Path("benchmarks/results/demo.json")


def beside_others() -> list[tuple[Any, ...]]:
    """This run's mean score and loss, the model's before training, and the committed methods'."""
    plan = json.loads(Path("plan.json").read_text())
    scores = json.loads(Path("metrics/eval.json").read_text())
    after, of = scores["mean"], scores["run"]
    name = "this run"
    if of != plan["eval"]["run"]:  # only a part of the pipeline has run since
        name = f"an earlier run ({of['method']}, budget {of['budget']}, seed {of['seed']})"
    before = json.loads(Path("out/before.json").read_text())
    rows = [(name, after["score"], after["score_stderr"], after["answer_nll_nats"])]
    if before:
        mean = before["mean"]
        figures = (mean["score"], mean["score_stderr"], mean["answer_nll_nats"])
        rows.append(("before training", *figures))
    on_demo = [file["path"] for file in plan["dedup"]["pool"]] == ["demo/world/pool.parquet"]
    return rows + (committed(DEMO) if on_demo and DEMO.exists() else [])


def committed(path: Path) -> list[tuple[Any, ...]]:
    """Mean over seeds of each method in a benchmark's result, with the spread of its seeds."""
    runs = json.loads(path.read_text())["runs"]
    rows = []
    for method in dict.fromkeys(run["method"] for run in runs):
        means = [run["scores"]["mean"] for run in runs if run["method"] == method]
        scores = [mean["score"] for mean in means]
        spread = statistics.stdev(scores) if len(scores) > 1 else None
        loss = statistics.mean(mean["answer_nll_nats"] for mean in means)
        rows.append((f"{method} ({len(scores)} seeds)", statistics.mean(scores), spread, loss))
    return rows


def main() -> None:
    """Prints where the run stands; `python -m dataselect.compare`, as `make repro` ends."""
    try:
        rows = beside_others()
    except FileNotFoundError as error:
        sys.exit(f"compare: {error.filename} is not there. Run `dvc repro` first.")
    report.table("Mean over tasks", rows, ("", "score", "±", "nats/token"))
    several = any("seeds" in row[0] for row in rows)
    spread = f"; of several seeds: their spread, from\n{DEMO}" if several else ""
    report.console.print(f"± of a run: standard error over its tests{spread}.")


if __name__ == "__main__":
    main()
