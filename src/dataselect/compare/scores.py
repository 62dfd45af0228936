"""The scores of runs, test by test, and two methods' runs on the same tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from dataselect.compare.variance import Layout
from dataselect.errors import InputError, first_few

#: A method and its budget, of which there may be several runs.
Condition = tuple[str, int | str | None]

#: The name of the mean over tasks, where a task's is expected.
MEAN = "mean over tasks"

#: What stands where a method's name does, of the model before training.
BASE_MODEL = "base model"

#: Columns that a run's tests may have besides `task`, `id` and `value`.
OPTIONAL = ("subtask", "cluster", "metric")


@dataclass(frozen=True)
class RunScores:
    """The scores of a run, test by test.

    Attributes:
        method: its name.
        budget: rows, a share like "5%", or a text of tokens; None where there is none.
        seed: None for a fixed model, of which there is only one, as the model before training: it
            has no variance between seeds.
        tests: the columns `task`, `id` and `value` (float64; higher or lower may be better; null
            where a test has no score, as if it were not there). And, where there are any, the
            columns `subtask`, `cluster` (tests of a cluster share what they are about, as questions
            on a passage) and `metric` (what `value` is), each null where a test has none.
            out/evaluation.parquet has them all.
    """

    method: str
    budget: int | str | None
    seed: int | None
    tests: pl.DataFrame

    @property
    def condition(self) -> Condition:
        """Method and budget."""
        return self.method, self.budget

    @property
    def label(self) -> str:
        """What messages call it."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{condition_name(self.condition)}{seed}"


def condition_name(condition: Condition) -> str:
    """A method with its budget, as text."""
    method, budget = condition
    if method == BASE_MODEL:
        return f"the {method}"
    return method if budget is None else f"{method} at {budget}"


@dataclass(frozen=True)
class TaskScores:
    """One task's tests with the scores of both methods.

    Attributes:
        first, second: values (float64, seeds × n tests).
        layout: weights, subtasks and clusters of the n tests.
    """

    first: np.ndarray
    second: np.ndarray
    layout: Layout


@dataclass(frozen=True)
class Paired:
    """Two methods' runs on the tests that all of them share.

    Attributes:
        tasks: by name, in the order of the first run.
        left_out: how many tests (task and id) only some of the runs have.
        fixed: which of both is one fixed model: it has no seeds.
    """

    tasks: dict[str, TaskScores]
    left_out: int
    fixed: tuple[bool, bool]


def by_condition(runs: Sequence[RunScores]) -> dict[Condition, list[RunScores]]:
    """The runs of each method and budget, in the order of their first."""
    groups: dict[Condition, list[RunScores]] = {}
    for run in runs:
        groups.setdefault(run.condition, []).append(run)
    return groups


def with_mean(tasks: dict[str, TaskScores]) -> dict[str, TaskScores]:
    """The tasks, and, where there are several, the mean over them: all their tests, weighted."""
    if len(tasks) == 1:
        return tasks
    parts = list(tasks.values())
    mean = TaskScores(
        np.concatenate([part.first for part in parts], axis=1),
        np.concatenate([part.second for part in parts], axis=1),
        Layout.mean_over([part.layout for part in parts]),
    )
    return {**tasks, MEAN: mean}


def check_runs(runs: Sequence[RunScores]) -> None:
    """Checks every run by itself, and that no seed of a method is there twice.

    Raises:
        InputError: a column is missing, a test is there twice, or a value is not finite.
    """
    seen: set[tuple[Condition, int | None]] = set()
    for run in runs:
        _check_run(run)
        if (run.condition, run.seed) in seen:
            raise InputError(
                f"{run.label}: there are two runs of it. Expected one for each method, budget and "
                "seed: leave one out, or give the other a method's name of its own."
            )
        seen.add((run.condition, run.seed))


def _check_run(run: RunScores) -> None:
    """Checks the table of a run's tests."""
    if lacking := [c for c in ("task", "id", "value") if c not in run.tests.columns]:
        raise InputError(
            f"{run.label}: no column {first_few(lacking)} among its tests; found "
            f"{first_few(run.tests.columns)}. Compare tables like out/evaluation.parquet."
        )
    if not run.tests["value"].count():
        raise InputError(
            f"{run.label}: no test with a score. Leave the run out, or evaluate it with tests."
        )
    twice = run.tests.filter(pl.struct("task", "id").is_duplicated())
    if not twice.is_empty():
        rows = twice.select("task", "id").unique(maintain_order=True).rows()
        named = first_few(f"{test} of {task}" for task, test in rows)
        raise InputError(f"{run.label}: tests that are there twice: {named}. Expected each once.")
    wrong = run.tests.filter(~pl.col("value").is_finite())
    if not wrong.is_empty():
        named = first_few(f"{test} of {task}" for task, test in wrong.select("task", "id").rows())
        raise InputError(
            f"{run.label}: {wrong.height:,} tests have no finite value: {named}. Leave them out of "
            "all runs, or evaluate the run again."
        )


def pair(
    first: Sequence[RunScores],
    second: Sequence[RunScores],
    mismatch: Literal["refuse", "shared"] = "refuse",
) -> Paired:
    """Two methods' runs test by test.

    Args:
        first, second: all runs of a method at a budget; `check_runs` has passed them.
        mismatch: what happens to tests that only some runs have: `refuse`, or `shared`, which
            leaves them out.

    Raises:
        InputError: the runs have other tests, and none is left out; they share none; a test has
            another subtask, cluster or metric in another run.
    """
    runs = [*first, *second]
    joined = _prepared(runs[0], "value_0")
    keys = [joined.select("task", "id")]
    for number, run in enumerate(runs[1:], 1):
        other = _prepared(run, f"value_{number}")
        keys.append(other.select("task", "id"))
        joined = joined.join(
            other, on=["task", "id"], how="inner", suffix="_other", maintain_order="left"
        )
        joined = _same_structure(joined, runs[0], run)
    left_out = pl.concat(keys).unique().height - joined.height
    if joined.is_empty() or (left_out and mismatch == "refuse"):
        raise _other_tests(runs, joined, left_out)
    count = len(first)
    tasks = {}
    for (task,), part in joined.group_by("task", maintain_order=True):
        values = part.select(pl.col("^value_\\d+$")).to_numpy().T
        layout = Layout.of_task(part["id"], part["subtask"], part["cluster"])
        tasks[str(task)] = TaskScores(values[:count], values[count:], layout)
    return Paired(tasks, left_out, (_is_fixed(first), _is_fixed(second)))


def _is_fixed(runs: Sequence[RunScores]) -> bool:
    return len(runs) == 1 and runs[0].seed is None


def _prepared(run: RunScores, value: str) -> pl.DataFrame:
    """Task, id, the value under another name, the optional columns; tests that have a score."""
    optional = [
        (pl.col(name) if name in run.tests.columns else pl.lit(None)).cast(pl.String).alias(name)
        for name in OPTIONAL
    ]
    scored = run.tests.filter(pl.col("value").is_not_null())
    return scored.select("task", "id", pl.col("value").cast(pl.Float64).alias(value), *optional)


def _same_structure(joined: pl.DataFrame, run: RunScores, other: RunScores) -> pl.DataFrame:
    """Checks that two runs say the same of the tests that both have; drops the second's columns."""
    for name in OPTIONAL:
        differing = joined.filter(pl.col(name).ne_missing(pl.col(f"{name}_other")))
        if not differing.is_empty():
            task, test, here, elsewhere = differing.select("task", "id", name, f"{name}_other").row(
                0
            )
            raise InputError(
                f"{task}: test {test} has the {name} {here} in {run.label}, and {elsewhere} in "
                f"{other.label}; {differing.height} tests differ. Only runs on the same tests can "
                "be compared: evaluate both with the same files and settings."
            )
    return joined.drop(f"{name}_other" for name in OPTIONAL)


def _other_tests(runs: Sequence[RunScores], joined: pl.DataFrame, left_out: int) -> InputError:
    counts = first_few(f"{run.label}: {run.tests.height:,}" for run in runs)
    names = dict.fromkeys(condition_name(run.condition) for run in runs)
    advice = "Evaluate all of them on the same tests"
    advice += ", or compare them on those that they share." if joined.height else "."
    return InputError(
        f"{' and '.join(names)}: {left_out:,} tests are not in all runs; {joined.height:,} are "
        f"({counts}). {advice}"
    )
