"""The score of a method by itself, over its seeds: by task, and as the mean over tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dataselect.compare import intervals
from dataselect.compare.estimate import Estimate, estimate
from dataselect.compare.intervals import Interval
from dataselect.compare.scores import (
    Condition,
    RunScores,
    TaskScores,
    by_condition,
    check_runs,
    pair,
    with_mean,
)

#: Below so many tests, the interval of a share of right answers is Wilson's.
FEW_TESTS = 100


@dataclass(frozen=True)
class MethodScore:
    """A method's score on one task, or as the mean over tasks.

    Attributes:
        task: its name; `scores.MEAN` for the mean over tasks.
        method: with its budget.
        seeds: runs of the method; 0 for a fixed model.
        tests: how many tests there are.
        estimate: the mean over seeds, and its variance; of this model alone where there is one
            seed.
        interval: None where the variance is unknown.
    """

    task: str
    method: Condition
    seeds: int
    tests: int
    estimate: Estimate
    interval: Interval | None


def method_scores(runs: Sequence[RunScores], level: float = 0.95) -> list[MethodScore]:
    """The score of every method and budget, with an interval.

    It says how sure a score is by itself. Whether two differ is for `statistics.compare`, which
    pairs tests: intervals that overlap prove nothing.

    Raises:
        InputError: runs of one method have other tests, or a table is wrong.
    """
    check_runs(runs)
    found = []
    for method, group in by_condition(runs).items():
        paired = pair(group, group)
        for task, scores in with_mean(paired.tasks).items():
            value = estimate([scores.first], scores.layout, paired.fixed[:1])
            interval = _interval(value, scores, level)
            seeds = 0 if paired.fixed[0] else len(group)
            tests = len(scores.layout.weights)
            found.append(MethodScore(task, method, seeds, tests, value, interval))
    return found


def _interval(value: Estimate, scores: TaskScores, level: float) -> Interval | None:
    """Wilson's for a share among few tests, else Student's t."""
    if value.stderr is None or value.dof is None:
        return None
    tests = len(scores.layout.weights)
    if tests < FEW_TESTS and np.isin(scores.first, (0, 1)).all():
        return intervals.wilson(value.value, _independent_tests(value, tests), level)
    if value.stderr == 0:
        return None
    return intervals.t_interval(value.value, value.stderr, value.dof, level)


def _independent_tests(value: Estimate, tests: int) -> float:
    """How many independent tests would have this standard error: Korn and Graubard (1998).

    "Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", Survey Methodology 24.
    """
    share = value.value
    return share * (1 - share) / value.stderr**2 if value.stderr else float(tests)
