"""Differences between methods on the same tests: how large, how sure, and what would be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from dataselect.compare import intervals
from dataselect.compare.estimate import Estimate, estimate
from dataselect.compare.intervals import Interval
from dataselect.compare.resampling import resampled_interval
from dataselect.compare.scores import (
    Condition,
    Paired,
    RunScores,
    TaskScores,
    by_condition,
    check_runs,
    pair,
    with_mean,
)
from dataselect.errors import InputError, did_you_mean, first_few


@dataclass(frozen=True)
class Difference:
    """A method minus the baseline, on one task or as the mean over tasks.

    Attributes:
        task: its name; `MEAN` for the mean over tasks.
        method, baseline: with their budgets.
        seeds: runs of the method and of the baseline; 0 for a fixed model.
        tests: how many tests are compared.
        units: how many clusters, or tests by themselves, these are.
        left_out: tests, of all tasks, that only some of the runs have.
        level: of the interval.
        estimate: the difference, method minus baseline, mean over seeds; and its variance.
        interval, p: None where they are unknown: a variance that is unknown, or 0.
        resampled: the interval of two-way resampling, where asked for: for comparison only.
        compared: how many conditions are compared with the baseline on this task.
        p_holm: p, corrected for `compared`; where some p are unknown, as if they were 1.
        minimum_detectable: the true difference that would be found with the wanted power, also as
            the first of Holm's steps.
    """

    task: str
    method: Condition
    baseline: Condition
    seeds: tuple[int, int]
    tests: int
    units: int
    left_out: int
    level: float
    estimate: Estimate
    interval: Interval | None
    p: float | None
    resampled: Interval | None
    compared: int = 1
    p_holm: float | None = None
    minimum_detectable: float | None = None

    @property
    def difference(self) -> float:
        """Method minus baseline, in the scores' own unit."""
        return self.estimate.value

    @property
    def about_methods(self) -> bool:
        """Whether the interval is about methods; with one seed of either it is about models."""
        return self.estimate.seeds is not None

    @property
    def shown(self) -> bool:
        """Whether a difference is shown, after the correction."""
        return self.p_holm is not None and self.p_holm < 1 - self.level


def compare(
    runs: Sequence[RunScores],
    baseline: str,
    *,
    mismatch: Literal["refuse", "shared"] = "refuse",
    level: float = 0.95,
    power: float = 0.8,
    resamples: int = 0,
) -> list[Difference]:
    """Every method, at every budget, minus the baseline: by task, and as the mean over tasks.

    A method is compared with the baseline at its own budget, or with the only budget that the
    baseline has. Tests are never pooled over tasks: between tests, the mean over T tasks has the
    variance Σ variance / T² of the tasks; between seeds, that of each seed's mean over tasks, as a
    seed that is good for one task may be good for others.

    Args:
        runs: of two methods or more, of any number of seeds each.
        baseline: the name of a method among them.
        mismatch: what happens where runs have other tests: `refuse`, or `shared`: they are compared
            on those that both have.
        level: of the intervals.
        power: of `minimum_detectable`.
        resamples: of two-way resampling; 0: none.

    Raises:
        InputError: an unknown baseline, nothing to compare with it, or runs that cannot be
            compared.
    """
    check_runs(runs)
    conditions = by_condition(runs)
    found: list[Difference] = []
    for method, reference in _compared(list(conditions), baseline):
        paired = pair(conditions[method], conditions[reference], mismatch)
        found += [
            Difference(
                method=method,
                baseline=reference,
                **_difference(task, scores, paired, level, resamples),
            )
            for task, scores in with_mean(paired.tasks).items()
        ]
    families = {d.task: [other for other in found if other.task == d.task] for d in found}
    return [d for family in families.values() for d in _corrected(family, power)]


def _compared(conditions: list[Condition], baseline: str) -> list[tuple[Condition, Condition]]:
    """Each condition of another method, with that of the baseline it is compared with."""
    names = list(dict.fromkeys(method for method, _ in conditions))
    if baseline not in names:
        raise InputError(f"baseline: no run of `{baseline}`. {did_you_mean(baseline, names)}")
    references = {budget: (method, budget) for method, budget in conditions if method == baseline}
    only = next(iter(references.values())) if len(references) == 1 else None
    pairs = []
    for method, budget in conditions:
        if method == baseline:
            continue
        reference = references.get(budget, only)
        if reference is None:
            raise InputError(
                f"baseline: {baseline} has runs at the budgets {first_few(references)}, and none "
                f"at {budget}, as {method} has. Add such a run, or leave out {method} at {budget}."
            )
        pairs.append(((method, budget), reference))
    if not pairs:
        raise InputError(f"nothing to compare: all runs are of {baseline}. Add another method's.")
    return pairs


def _difference(
    task: str, scores: TaskScores, paired: Paired, level: float, resamples: int
) -> dict[str, Any]:
    """What is known of a difference on one task before the correction."""
    samples = (scores.first, scores.second)
    found = estimate(samples, scores.layout, paired.fixed)
    interval = p = resampled = None
    if found.stderr and found.dof:
        interval = intervals.t_interval(found.value, found.stderr, found.dof, level)
        p = intervals.t_p_value(found.value, found.stderr, found.dof)
    if resamples:
        resampled = resampled_interval(*samples, scores.layout, resamples=resamples, level=level)
    first, second = (
        0 if is_fixed else len(values)
        for values, is_fixed in zip(samples, paired.fixed, strict=True)
    )
    return {
        "task": task,
        "seeds": (first, second),
        "tests": len(scores.layout.weights),
        "units": scores.layout.unit_count,
        "left_out": paired.left_out,
        "level": level,
        "estimate": found,
        "interval": interval,
        "p": p,
        "resampled": resampled,
    }


def _corrected(family: list[Difference], power: float) -> list[Difference]:
    """The differences of a task with what depends on how many there are."""
    alpha = (1 - family[0].level) / len(family)
    adjusted = intervals.holm([1.0 if d.p is None else d.p for d in family])
    return [
        replace(
            d,
            compared=len(family),
            p_holm=None if d.p is None else p_holm,
            minimum_detectable=None
            if d.p is None
            else intervals.minimum_detectable(
                d.estimate.stderr or 0.0, d.estimate.dof or 1.0, alpha, power
            ),
        )
        for d, p_holm in zip(family, adjusted, strict=True)
    ]
