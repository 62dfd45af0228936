"""What differences between methods show, and what they do not, in plain sentences."""

from __future__ import annotations

from dataclasses import dataclass

from dataselect.compare.scores import MEAN, condition_name
from dataselect.compare.statistics import Difference

#: With fewer runs of a method, how far its seeds vary is hardly known.
FEW_SEEDS = 3


@dataclass(frozen=True)
class Unit:
    """How a value is printed.

    Attributes:
        name: as in "4.2 points".
        scale: what a value is multiplied with first.
        digits: after the point.
        higher, lower: what a method does whose value is higher, or lower, than the baseline's.
    """

    name: str = "points"
    scale: float = 100.0
    digits: int = 1
    higher: str = "is better"
    lower: str = "is worse"

    def text(self, value: float, signed: bool = False) -> str:
        """A value without the unit's name."""
        shown = round(value * self.scale, self.digits) + 0.0  # no "-0.0"
        return f"{shown:{'+' if signed else ''},.{self.digits}f}".replace("-", "−")


POINTS = Unit()
NATS = Unit("nats per token", 1.0, 3, higher="has a higher loss", lower="has a lower loss")


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
    found: list[str] = []
    for difference in differences:
        method, baseline = (condition_name(c) for c in (difference.method, difference.baseline))
        if not difference.about_methods:
            found.append(
                f"{method} and {baseline}: one of them has a single seed. The interval is about "
                "these models, not about the methods: how much another seed would change is "
                "unknown."
            )
        elif any(0 < seeds < FEW_SEEDS for seeds in difference.seeds):
            found.append(
                f"{method} and {baseline}: one of them has only two seeds. How far its seeds vary "
                "is hardly known: the interval is wide, and too narrow if its seeds vary far more "
                "than the other's. Run a third seed."
            )
        if difference.left_out:
            found.append(
                f"{method} and {baseline} are compared on the tests that all their runs share: "
                f"{difference.left_out:,} others are left out, which changes what the scores mean."
            )
    return list(dict.fromkeys(found))
