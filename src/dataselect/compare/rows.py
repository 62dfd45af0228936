"""The table of scores: a row for every method and task, and which of them are contaminated."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import polars as pl

from dataselect.compare.intervals import Interval
from dataselect.compare.method_scores import method_scores
from dataselect.compare.recorded import Run
from dataselect.compare.scores import MEAN, Condition
from dataselect.compare.together import Evaluated
from dataselect.errors import first_few

#: As many runs are named one by one.
FEW = 3


@dataclass(frozen=True)
class Row:
    """A method at a budget, on one task or as the mean over tasks: means over its seeds.

    Attributes:
        task: its name; `MEAN` for the mean over tasks.
        condition: method and budget.
        seeds: of its runs; none of the model before training.
        runs: their names; of the model before training, the run that it is taken from.
        tests: how many count.
        score: in the metric's own unit.
        interval: of the score, at 95 %; None where it is unknown.
        loss: of the gold answers, in nats per token; None where there is none.
        flops: of selection and training; None where a run has not noted them.
        seconds: of all stages before evaluation; likewise.
        contaminated: whether rows that a run was trained on overlap the task's tests.
    """

    task: str
    condition: Condition
    seeds: list[int]
    runs: list[str]
    tests: int
    score: float
    interval: Interval | None
    loss: float | None
    flops: float | None
    seconds: float | None
    contaminated: bool


def score_rows(runs: list[Evaluated]) -> list[Row]:
    """A row for every task and method, and for the mean over tasks where there are several."""
    groups: dict[Condition, list[Evaluated]] = defaultdict(list)
    for run in runs:
        groups[run.scores().condition].append(run)
    losses = {condition: _losses(group) for condition, group in groups.items()}
    marked = {
        condition: _overlaps([run.run for run in group]) for condition, group in groups.items()
    }
    rows = []
    for found in method_scores([run.scores() for run in runs]):
        group = [run.run for run in groups[found.method]]
        overlaps = marked[found.method]
        rows.append(
            Row(
                task=found.task,
                condition=found.method,
                seeds=[run.seed for run in group if run.seed is not None],
                runs=[run.name for run in group],
                tests=found.tests,
                score=found.estimate.value,
                interval=found.interval,
                loss=losses[found.method].get(found.task),
                flops=_mean([run.flops for run in group]),
                seconds=_mean([run.seconds for run in group]),
                contaminated=bool(overlaps) if found.task == MEAN else found.task in overlaps,
            )
        )
    order = {task: number for number, task in enumerate(dict.fromkeys(row.task for row in rows))}
    return sorted(rows, key=lambda row: order[row.task])


def _losses(group: list[Evaluated]) -> dict[str, float]:
    """The loss by task, as `eval.summary` has it, and the mean over tasks; over the seeds."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in group:
        losses = run.tests.select("task", "subtask", pl.col("answer_nll_nats").fill_nan(None))
        subtasks = losses.group_by("task", "subtask").mean().drop_nulls("answer_nll_nats")
        tasks = subtasks.group_by("task").agg(pl.col("answer_nll_nats").mean()).rows()
        for task, loss in tasks:
            found[task].append(loss)
        if tasks:
            found[MEAN].append(fmean(loss for _, loss in tasks))
    return {task: fmean(values) for task, values in found.items() if len(values) == len(group)}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def _overlaps(runs: list[Run]) -> dict[str, list[dict[str, Any]]]:
    """Task → what metrics/eval.json counts, of the runs that it calls contaminated."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        for task, values in ((run.scores or {}).get("tasks") or {}).items():
            counts = values.get("contamination")
            if counts and counts["contaminated"]:
                found[task].append(counts)
    return found


def contaminated_tasks(runs: list[Run]) -> list[str]:
    """A sentence for every task that is contaminated in some runs; one for runs without a note."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for run in runs:
        for task, (counts,) in _overlaps([run]).items():
            found[task][run.name] = counts
    remarks = [
        f"task {task} is contaminated (*) in {_where(counts, len(runs))}: rows that the model was "
        "trained on overlap its tests, and such a score says little of other questions."
        for task, counts in found.items()
    ]
    if unknown := [run.name for run in runs if run.scores is None]:
        remarks.append(
            f"{first_few(unknown)}: no metrics/eval.json of that run; whether tests are "
            "contaminated is not known."
        )
    return remarks


def _where(counts: dict[str, dict[str, Any]], runs: int) -> str:
    """In which runs, and how many tests: each of a few runs; of more, their number and the range.

    Args:
        counts: run → what metrics/eval.json counts.
        runs: how many are compared.
    """
    totals = {count["tests"] for count in counts.values()}
    if len(counts) <= FEW or len(totals) > 1:
        return first_few(
            [
                f"{name} ({count['overlapping_tests']:,} of {count['tests']:,} tests)"
                for name, count in counts.items()
            ]
        )
    numbers = [count["overlapping_tests"] for count in counts.values()]
    span = " to ".join(f"{number:,}" for number in sorted({min(numbers), max(numbers)}))
    return f"{len(counts)} of {runs} runs ({span} of {totals.pop():,} tests)"
