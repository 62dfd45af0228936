"""A forest plot: every method minus the baseline, with intervals, by task."""

from __future__ import annotations

from typing import Any

from dataselect.compare.scores import MEAN
from dataselect.compare.statistics import Difference
from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material, Variant, listed
from dataselect.figures.theme import BLUE, GREY, VERMILION

#: Panels at most, and how many stand side by side.
PANELS, COLUMNS = 12, 3

SHOWN, NOT_SHOWN = "shown", "not shown"


def differences(material: Material) -> Figure:
    """Draws the paired differences, the mean over tasks first.

    Raises:
        MissingData: there is one method only, or the runs cannot be compared.
    """
    found = [
        (material.name(Variant(*d.method, pool.name)), d)
        for pool, comparison in material.comparisons
        for d in comparison.differences
    ]
    if not found:
        raise MissingData("there is one method only: nothing to compare it with")
    baseline = found[0][1].baseline[0]
    tasks = sorted(dict.fromkeys(d.task for _, d in found), key=lambda task: task != MEAN)
    rows = [_row(name, d) for name, d in found if d.task in tasks[:PANELS]]
    caption = (
        f"Score minus that of {baseline}, in points (hundredths), on the same tests; lines are "
        "95 % intervals without a correction. Filled: a difference is shown after Holm's "
        "correction."
    )
    names = list(dict.fromkeys(name for name, _ in found))
    return Figure(
        "differences",
        f"Difference from {baseline}",
        caption + listed(tasks, PANELS),
        _chart(rows, names, tasks[:PANELS], baseline),
    )


def _row(name: str, found: Difference) -> dict[str, Any]:
    low, high = found.interval or (None, None)
    return {
        "method": name,
        "task": found.task,
        "points": 100 * found.difference,
        "low": None if low is None else 100 * low,
        "high": None if high is None else 100 * high,
        "difference": SHOWN if found.shown else NOT_SHOWN,
    }


def _chart(rows: list[dict[str, Any]], names: list[str], tasks: list[str], baseline: str) -> Any:
    alt = altair()
    y = alt.Y("method:N", sort=names, title=None)
    shown = alt.Scale(domain=[SHOWN, NOT_SHOWN], range=[BLUE, VERMILION])
    colour = alt.Color("difference:N", scale=shown, title="difference")
    base = alt.Chart(alt.Data(values=rows))
    axis = f"points over {baseline}"
    interval = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", title=axis), x2="high:Q", y=y, color=colour
    )
    fill = alt.Scale(domain=[SHOWN, NOT_SHOWN], range=[BLUE, "white"])
    shape = alt.Scale(domain=[SHOWN, NOT_SHOWN], range=["circle", "diamond"])
    point = base.mark_point(size=60, opacity=1, strokeWidth=1.5).encode(
        x=alt.X("points:Q", title=axis),
        y=y,
        stroke=alt.Stroke("difference:N", scale=shown, title="difference"),
        fill=alt.Fill("difference:N", scale=fill, title="difference"),
        shape=alt.Shape("difference:N", scale=shape, title="difference"),
    )
    zero = base.mark_rule(strokeDash=[4, 3], color=GREY).encode(x=alt.datum(0))
    width = 420 if len(tasks) == 1 else 230
    layers = alt.layer(zero, interval, point).properties(width=width, height=alt.Step(18))
    facet = alt.Facet("task:N", sort=tasks, title=None)
    return layers.facet(facet=facet, columns=COLUMNS).resolve_axis(x="independent")
