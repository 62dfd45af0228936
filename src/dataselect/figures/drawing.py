"""Every figure that the runs have data for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dataselect.compare.recorded import Run
from dataselect.compare.together import of_one_model
from dataselect.errors import InputError, did_you_mean
from dataselect.figures.budgets import budgets
from dataselect.figures.cost import cost
from dataselect.figures.differences import differences
from dataselect.figures.figure import Figure, MissingData
from dataselect.figures.material import Material
from dataselect.figures.overlap import overlap
from dataselect.figures.published import published
from dataselect.figures.purity import purity
from dataselect.figures.scores import scores
from dataselect.figures.sources import sources
from dataselect.figures.trajectories import trajectories

#: The figures by name, in the order in which they are shown.
FIGURES: dict[str, Callable[[Material], Figure]] = {
    "differences": differences,
    "cost": cost,
    "budgets": budgets,
    "sources": sources,
    "scores": scores,
    "overlap": overlap,
    "trajectories": trajectories,
    "purity": purity,
    "published": published,
}


def draw(
    runs: Sequence[Run],
    only: Sequence[str] = (),
    *,
    baseline: str | None = None,
    shared: bool = False,
    model: str | None = None,
    label: str = "source",
    left_out: Callable[[str, str], None] = lambda name, reason: None,
) -> dict[str, Figure]:
    """Draws the figures of runs, by name.

    Args:
        runs: see `compare.find_runs`; those with a problem are not drawn.
        only: names of `FIGURES`; none: all.
        baseline, shared, model: as for `compare.comparison.compare_runs`.
        label: a column of the pool that the purity of clusters is measured by.
        left_out: called with the name of a figure that cannot be drawn, and the reason.

    Raises:
        InputError: an unknown name, runs of several models, two different runs of one method,
            budget and seed, or the extra `figures` is not installed.
    """
    for name in only:
        if name not in FIGURES:
            raise InputError(f"no figure is called `{name}`. {did_you_mean(name, FIGURES)}")
    usable = of_one_model([run for run in runs if not run.problem], model)
    material = Material(usable, baseline, shared, label)
    found = {}
    for name in only or FIGURES:
        try:
            found[name] = FIGURES[name](material)
        except MissingData as reason:
            left_out(name, str(reason))
    return found
