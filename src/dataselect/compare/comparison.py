"""Everything that `dataselect compare` says: a row for each method and task, differences, text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import polars as pl

from dataselect.compare.find_runs import read_evaluation
from dataselect.compare.intervals import Interval
from dataselect.compare.method_scores import method_scores
from dataselect.compare.recorded import Run
from dataselect.compare.scores import MEAN, Condition, condition_name
from dataselect.compare.sentences import notes, sentence
from dataselect.compare.statistics import Difference, compare
from dataselect.compare.together import (
    Evaluated,
    check_repeats,
    of_one_model,
    on_same_tests,
    without_copies,
)
from dataselect.errors import InputError, first_few

#: The method that others are compared with where none is named.
USUAL_BASELINE = "random"


@dataclass(frozen=True)
class Row:
    """A method at a budget, on one task or as the mean over tasks: means over its seeds.

    Attributes:
        task: its name; `MEAN` for the mean over tasks.
        condition: method and budget.
        seeds: of its runs.
        runs: their names.
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
    seeds: list[int | None]
    runs: list[str]
    tests: int
    score: float
    interval: Interval | None
    loss: float | None
    flops: float | None
    seconds: float | None
    contaminated: bool


@dataclass(frozen=True)
class Comparison:
    """What is found of runs.

    Attributes:
        rows: by task as in the tests, the mean over tasks last; methods as given.
        differences: method minus baseline, in the same order; none where there is one method.
        shown, not_shown: sentences on the differences.
        notes: what must be known to read them.
    """

    rows: list[Row]
    differences: list[Difference]
    shown: list[str]
    not_shown: list[str]
    notes: list[str]


def compare_runs(
    runs: Sequence[Run],
    baseline: str | None = None,
    *,
    shared: bool = False,
    model: str | None = None,
    per_task: bool = False,
) -> Comparison:
    """Compares runs that can be compared, test by test.

    Args:
        baseline: a method; None: `random` where there is such a run, else the first.
        shared: whether tests that only some runs have are left out, instead of refused.
        model: the base model whose runs are compared; None where there is only one.
        per_task: every task, not only the mean over them.

    Raises:
        InputError: the runs cannot be compared; there is none; an unknown baseline.
    """
    complete = [run for run in runs if not run.problem]
    usable = _in_order(without_copies(of_one_model(complete, model)))
    if not usable:
        why = "; ".join(f"{run.name}: {run.problem}" for run in runs[:3])
        raise InputError(f"no run to compare. {why or 'None was named'}.")
    remarks = [*_left_out(runs), *check_repeats(usable)]
    read = [Evaluated(r, read_evaluation(r.name, r.evaluation)) for r in usable if r.evaluation]
    _check_scored(read)
    evaluated, about_tests = on_same_tests(read, shared)
    rows = _rows(evaluated)
    differences, about_budgets = _differences(evaluated, baseline)
    remarks += [*about_tests, *about_budgets, *notes(differences), *_contaminated(usable)]
    if not per_task:
        last = rows[-1].task
        rows = [row for row in rows if row.task == last]
        differences = [d for d in differences if d.task == last]
    return Comparison(
        rows,
        differences,
        [sentence(d) for d in differences if d.shown],
        [sentence(d) for d in differences if not d.shown],
        remarks,
    )


def _in_order(runs: list[Run]) -> list[Run]:
    """By method, as they were given, then by budget and seed."""
    methods = list(dict.fromkeys(run.method for run in runs))

    def place(run: Run) -> tuple[int, bool, int, str, int]:
        rows = run.budget if isinstance(run.budget, int) else 0
        return methods.index(run.method), rows == 0, rows, str(run.budget), run.seed or 0

    return sorted(runs, key=place)


def _left_out(runs: Sequence[Run]) -> list[str]:
    return [f"{run.name} is left out: {run.problem}." for run in runs if run.problem]


def _check_scored(runs: list[Evaluated]) -> None:
    if empty := [run.run.name for run in runs if not run.tests["value"].count()]:
        raise InputError(
            f"{first_few(empty)}: no test has a score. Give the runs tests, and a judge where "
            "their tasks need one, or leave them out."
        )


def _rows(runs: list[Evaluated]) -> list[Row]:
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
                seeds=[run.seed for run in group],
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


def _differences(runs: list[Evaluated], baseline: str | None) -> tuple[list[Difference], list[str]]:
    """The differences from the baseline, and what is not compared with it."""
    scores = [run.scores() for run in runs]
    methods = list(dict.fromkeys(run.method for run in scores))
    if baseline is None:
        baseline = USUAL_BASELINE if USUAL_BASELINE in methods else methods[0]
    if methods == [baseline]:
        return [], [f"nothing is compared: all runs are of {baseline}."]
    budgets = {run.budget for run in scores if run.method == baseline}
    unmatched = [] if len(budgets) < 2 else [run for run in scores if run.budget not in budgets]
    names = dict.fromkeys(condition_name(run.condition) for run in unmatched)
    remarks = [f"{name} is not compared: {baseline} has no run at that budget." for name in names]
    return compare([run for run in scores if run not in unmatched], baseline), remarks


def _overlaps(runs: list[Run]) -> dict[str, list[dict[str, Any]]]:
    """Task → what metrics/eval.json counts, of the runs that it calls contaminated."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for run in runs:
        for task, values in ((run.scores or {}).get("tasks") or {}).items():
            counts = values.get("contamination")
            if counts and counts["contaminated"]:
                found[task].append(counts)
    return found


def _contaminated(runs: list[Run]) -> list[str]:
    """A sentence for every task that is contaminated in some runs; one for runs without a note."""
    names: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for task, (counts,) in _overlaps([run]).items():
            share = f"{counts['overlapping_tests']:,} of {counts['tests']:,} tests"
            names[task].append(f"{run.name} ({share})")
    remarks = [
        f"task {task} is contaminated (*) in {first_few(found)}: rows that the model was trained "
        "on overlap its tests, and such a score says little of other questions."
        for task, found in names.items()
    ]
    if unknown := [run.name for run in runs if run.scores is None]:
        remarks.append(
            f"{first_few(unknown)}: no metrics/eval.json of that run; whether tests are "
            "contaminated is not known."
        )
    return remarks
