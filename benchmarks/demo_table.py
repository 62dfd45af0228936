"""Prints where this run's mean score stands: beside the untrained model and the other methods.

python benchmarks/demo_table.py      # after `dvc repro`; `make repro` ends with it
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from dataselect import report
from dataselect.data import tables
from dataselect.eval.summary import summary

#: What `benchmarks/methods.py` measured on the demo; committed, as it takes an hour.
DEMO = Path("benchmarks/results/demo.json")
DEMO_POOL = "demo/world/pool.parquet"


def main() -> None:
    """Prints the table, from the outputs of the run in the working directory."""
    try:
        rows = comparison_rows()
    except FileNotFoundError as error:
        sys.exit(f"demo_table: {error.filename} is not there. Run `dvc repro` first.")
    report.table("Mean over tasks", rows, ("", "score", "±", "nats/token"))
    several = any("seeds" in row[0] for row in rows)
    spread = f"; of several seeds: their spread, from\n{DEMO}" if several else ""
    report.console.print(f"± of a run: standard error over its tests{spread}.")
    if changed := changed_files():
        found = "the same scores as" if same_scores() else "other scores than"
        report.console.print(
            f"{', '.join(changed)}: changed; {found} those committed.\nCommit them to keep them, "
            f"or bring back the committed files: `git checkout HEAD -- {' '.join(changed)}`",
            markup=False,
        )


def changed_files() -> list[str]:
    """The tracked files that the pipeline wrote and that differ from the last commit."""
    names = _git("diff", "--name-only", "HEAD", "--", "dvc.lock", "plan.json", "metrics")
    return names.split() if names else []


def same_scores() -> bool:
    """Whether metrics/eval.json is as it was committed, but for the seconds that it took."""
    last = _git("show", "HEAD:metrics/eval.json")
    scores = json.loads(Path("metrics/eval.json").read_text())
    before = json.loads(last) if last else {}
    return {**before, "seconds": None} == {**scores, "seconds": None}


def _git(*arguments: str) -> str | None:
    """What git prints; None where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def comparison_rows() -> list[tuple[Any, ...]]:
    """Name, mean score, its error and loss: of this run, the untrained model, and the demo's."""
    plan = json.loads(Path("plan.json").read_text())
    scores = json.loads(Path("metrics/eval.json").read_text())
    label = scores["run"]
    name = "this run"
    if label != plan["eval"]["run"]:  # the pipeline has not run to its end since
        name = f"an earlier run ({label['method']}, budget {label['budget']}, seed {label['seed']})"
    if contaminated := scores["mean"].get("contaminated_tasks"):
        name += f" ({contaminated} contaminated tasks)"
    rows = [(name, *_figures(scores["mean"]))]
    baseline = tables.read("evaluation", "out/baseline.parquet")
    if baseline.height:
        rows.append(("before training", *_figures(summary(baseline)["mean"])))
    on_demo = [file["path"] for file in plan["dedup"]["pool"]] == [DEMO_POOL]
    return rows + (benchmark_rows(DEMO) if on_demo and DEMO.exists() else [])


def _figures(mean: dict[str, Any]) -> tuple[Any, ...]:
    return mean["score"], mean["score_stderr"], mean["answer_nll_nats"]


def benchmark_rows(path: Path) -> list[tuple[Any, ...]]:
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


if __name__ == "__main__":
    main()
