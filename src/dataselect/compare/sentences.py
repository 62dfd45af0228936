"""What differences between methods show, and what they do not, in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass

from dataselect.compare.scores import MEAN, Condition, condition_name
from dataselect.compare.statistics import Difference

#: With fewer runs of a method, how far its seeds vary is hardly known.
FEW_SEEDS = 3

#: A difference below this is none.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Unit:
    """How a value is printed.

    Attributes:
        name: as in "4.2 points".
        scale: what a value is multiplied with first.
        digits: after the point.
        higher, lower: what a method does whose value is higher, or lower, than the baseline's.
        equal: what both are where no test tells them apart.
    """

    name: str = "points"
    scale: float = 100.0
    digits: int = 1
    higher: str = "is better"
    lower: str = "is worse"
    equal: str = "equal"

    def text(self, value: float, signed: bool = False) -> str:
        """A value without the unit's name."""
        shown = round(value * self.scale, self.digits) + 0.0  # no "-0.0"
        return f"{shown:{'+' if signed else ''},.{self.digits}f}".replace("-", "−")


POINTS = Unit()
NATS = Unit(
    "nats per token",
    1.0,
    3,
    higher="has a higher loss",
    lower="has a lower loss",
    equal="of equal loss",
)


def sentences(
    differences: list[Difference], scores: dict[tuple[str, Condition], float], unit: Unit = POINTS
) -> list[tuple[bool, str]]:
    """Whether each difference is shown, and its sentence: the mean over tasks first.

    Tasks on which two methods are equal in every test are in one sentence.

    Args:
        scores: of each task and method; empty where they are not to be said.
    """
    found: list[tuple[bool, str]] = []
    equal: dict[tuple[Condition, Condition], list[str]] = {}
    for difference in sorted(differences, key=lambda d: d.task != MEAN):
        if _equal_in_every_test(difference):
            equal.setdefault((difference.method, difference.baseline), []).append(difference.task)
        else:
            found.append((difference.shown, sentence(difference, unit)))
    for pair, tasks in equal.items():
        method, baseline = map(condition_name, pair)
        text = f"{method} and {baseline} are {unit.equal} in every test"
        if MEAN not in tasks:
            values = {scores.get((task, condition)) for task in tasks for condition in pair}
            both = " (both score 0)" if values == {0.0} else ""
            text += f" of the task{'s' * (len(tasks) > 1)} {', '.join(tasks)}{both}"
        found.append((False, f"{text}."))
    return found


def _equal_in_every_test(difference: Difference) -> bool:
    known = difference.estimate.tests is not None
    return known and difference.interval is None and abs(difference.difference) < ROUNDING


def sentence(difference: Difference, unit: Unit = POINTS) -> str:
    """One difference: what is shown, or how large it would have to be to be seen.

    What the interval is about, and what was left out, `notes` says once for all.
    """
    method, baseline = (condition_name(c) for c in (difference.method, difference.baseline))
    place = difference.task if difference.task == MEAN else f"task {difference.task}"
    value = unit.text(difference.difference, signed=True)
    if difference.interval is None:
        return (
            f"{place}: {method} minus {baseline} is {value} {unit.name}, of which nothing more is "
            f"known: {_why_unknown(difference)}."
        )
    low, high = (unit.text(bound, signed=True) for bound in difference.interval)
    numbers = f"{value} {unit.name}, {difference.level:.0%} interval {low} to {high}"
    if difference.shown:
        verdict = unit.higher if difference.difference > 0 else unit.lower
        return f"{place}: {method} {verdict} than {baseline}: {numbers}{_corrected(difference)}."
    seen = unit.text(difference.minimum_detectable or 0.0)
    tied = f"{place}: {method} and {baseline} are tied: {numbers}"
    could = f"could have seen {seen} {unit.name}"
    if difference.p is not None and difference.p < 1 - difference.level:
        return f"{tied}; the interval leaves 0 out, but not{_corrected(difference)}; {could}."
    return f"{tied}; {could}."


def _why_unknown(difference: Difference) -> str:
    if difference.estimate.tests is None:
        return "a task has a single test, or a single cluster of tests"
    return "the difference is the same in every test"


def _corrected(difference: Difference) -> str:
    """How p was corrected, where there was anything to correct for."""
    if difference.compared == 1 or difference.p_holm is None:
        return ""
    return f" after Holm's correction for {difference.compared} comparisons"


def notes(differences: list[Difference]) -> list[str]:
    """What must be known to read the sentences of these differences: each note once."""
    single = _with_seeds(differences, 1, 2)
    few = _with_seeds([d for d in differences if d.about_methods], 2, FEW_SEEDS)
    found: list[str] = []
    if single:
        found.append(
            f"a single seed: {', '.join(single)}. An interval with one of them is about these "
            "models, not about the methods: how much another seed would change is unknown."
        )
    if few:
        found.append(
            f"only two seeds: {', '.join(few)}. How far seeds vary is hardly known: intervals are "
            "wide, and too narrow if the seeds of one method vary far more than the other's. Run a "
            "third seed."
        )
    for difference in differences:
        if difference.left_out:
            method, baseline = map(condition_name, (difference.method, difference.baseline))
            found.append(
                f"{method} and {baseline} are compared on the tests that all their runs share: "
                f"{difference.left_out:,} others are left out, which changes what the scores mean."
            )
    return list(dict.fromkeys(found))


def _with_seeds(differences: list[Difference], least: int, below: int) -> list[str]:
    """The methods with so many seeds, each once."""
    return list(
        dict.fromkeys(
            condition_name(condition)
            for d in differences
            for condition, seeds in zip((d.method, d.baseline), d.seeds, strict=True)
            if least <= seeds < below
        )
    )
