"""What the missing runs of a sweep will take, with shared work counted once."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dataselect import report
from dataselect.compute.placement import placed
from dataselect.data.files import content_key
from dataselect.plan.estimate import (
    SAMPLE_ROWS,
    Cost,
    budget_of,
    selection_costs,
    training_cost,
)
from dataselect.plan.sample import write_sample
from dataselect.settings import load_part
from dataselect.sweep.order import Planned, distinct, errors_of

NOTHING = Cost(0, 0, 0)

#: What stands above the estimate.
NOTE = (
    "The estimate leaves out dedup, aggregate, baseline, eval and the start of each stage. With a "
    "small pool or model these can take many times as long as what is in it. It is measured on a "
    "sample, on this machine as busy as it is now. What DVC's cache or the scratch folder already "
    "hold is counted all the same, and takes no time.\n"
)


def show_cost(missing: list[Planned]) -> None:
    """Measures a sample, and prints what the runs will take together, and how often each step runs.

    Raises:
        InputError: a budget is above the pool, or a file cannot be read.
    """
    costs = sweep_costs(missing)
    total = Cost(*(sum(getattr(cost, name) for cost, _ in costs.values()) for name in Cost._fields))
    lines: list[tuple[Any, ...]] = [
        (
            name,
            times,
            report.format_seconds(cost.seconds),
            f"{cost.flops:.1e}",
            report.format_bytes(round(cost.bytes)),
        )
        for name, (cost, times) in costs.items()
    ]
    lines.append(
        (
            "all",
            None,
            f"at least {report.format_seconds(total.seconds)}",
            f"{total.flops:.1e}",
            report.format_bytes(round(total.bytes)),
        )
    )
    report.console.print(NOTE, highlight=False)
    report.table("Estimate", lines, ("stage", "times", "time", "FLOPs", "disk"))


def sweep_costs(missing: list[Planned]) -> dict[str, tuple[Cost, int]]:
    """Stage → what it takes in all runs together, and how many times it runs.

    Raises:
        InputError: a budget is above the pool, or a file cannot be read.
    """
    steps = distinct(missing)
    groups = {run.features: run for run in reversed(missing)}
    measured: dict[str, dict[str, Cost]] = {}
    trained: dict[str, Cost] = {}
    total = NOTHING
    with tempfile.TemporaryDirectory(prefix="dataselect-") as name:
        for number, (features, first) in enumerate(groups.items()):
            home = Path(name) / str(number)
            with errors_of(first.name):  # its tokenizer is loaded there
                rows = _sample(first, home)
            _check_budgets(missing, rows)
            placement = load_part("compute", first.sections.engine).placement
            with errors_of(first.name), placed(placement):
                measured[features] = selection_costs(first.sections, rows, home)
            for run in (run for run in steps["train"] if run.features == features):
                key = _training_key(run)
                if key not in trained:
                    budget = budget_of(run.sections, rows)
                    with errors_of(run.name):
                        trained[key] = training_cost(run.sections.train, budget, home)
                total = added(total, trained[key])
    costs = {step: (_sum(steps[step], measured, step), len(steps[step]))
             for step in ("reference", "embed", "score") if steps[step]}  # fmt: skip
    costs["train"] = (total, len(steps["train"]))
    return costs


def _check_budgets(runs: list[Planned], rows: int) -> None:
    for run in runs:
        with errors_of(run.name):
            budget_of(run.sections, rows)


def _sample(run: Planned, home: Path) -> int:
    """Writes a sample of a run's pool into a folder, and counts the pool's rows.

    The pool is read once for all runs that read it in the same way: their folders lie side by side.
    """
    before = home.parent / f"{run.keys['dedup']}.json"
    if before.exists():
        first, rows = json.loads(before.read_text())
        shutil.copytree(first, home, ignore=shutil.ignore_patterns("checkpoints", "train-*"))
        return rows
    home.mkdir()
    rows, _ = write_sample(run.sections, home, SAMPLE_ROWS)
    before.write_text(json.dumps([str(home), rows]))
    return rows


def _sum(runs: list[Planned], measured: dict[str, dict[str, Cost]], step: str) -> Cost:
    total = NOTHING
    for run in runs:
        total = added(total, measured[run.features].get(step, NOTHING))
    return total


def added(first: Cost, second: Cost) -> Cost:
    """The cost of both."""
    return Cost(*(a + b for a, b in zip(first, second, strict=True)))


def _training_key(run: Planned) -> str:
    """What decides how long training takes: the seed does not."""
    section: Any = run.sections.train
    recipe = replace(section.recipe, seed=0)
    budget = run.sections.aggregate.budget
    return content_key([asdict(section.model), asdict(recipe), str(budget)])
