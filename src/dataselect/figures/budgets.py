"""Score against the rows that were selected, by task."""

from __future__ import annotations

from typing import Any

from dataselect.compare.comparison import Row
from dataselect.compare.scores import BASE_MODEL, MEAN
from dataselect.data import tables
from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material, Pool, distinct, listed, output, shortened
from dataselect.figures.theme import GREY, series

#: Panels at most, and how many stand side by side.
PANELS, COLUMNS = 12, 3

#: By what factor two methods at one budget are moved apart, so that both intervals are seen.
APART_BY = 1.03

#: The largest such factor of all methods together, and with how many there are intervals.
FAR_APART, WITH_INTERVALS = 1.3, 12

#: Pixels between panels.
SPACING = {"row": 75, "column": 60}


def budgets(material: Material) -> Figure:
    """Draws the scores of every method over its budgets, the mean over tasks first.

    Raises:
        MissingData: no method has two budgets, or the runs cannot be compared.
    """
    found = [(pool, row) for pool, comparison in material.comparisons for row in comparison.rows]
    rows = [_record(pool, row) for pool, row in found if row.condition[0] != BASE_MODEL]
    before = [
        {"task": row.task, "before": row.score}
        for _, row in found
        if row.condition[0] == BASE_MODEL
    ]
    if len({row["rows"] for row in rows}) < 2:
        raise MissingData("all runs have one budget: there is no curve to draw")
    names = distinct(rows, "method")
    for row in rows:
        place = names.index(row["method"]) - (len(names) - 1) / 2
        row["moved"] = row["rows"] * min(APART_BY, FAR_APART ** (1 / len(names))) ** place
        if len(names) > WITH_INTERVALS:
            row["low"] = row["high"] = None
    tasks = sorted(distinct(rows, "task"), key=lambda task: task != MEAN)
    intervals = " with 95 % intervals" if len(names) <= WITH_INTERVALS else ""
    return Figure(
        "budgets",
        "Score against rows selected",
        f"Means over seeds{intervals}; methods at one budget are moved apart sideways. Intervals "
        "that overlap do not mean that methods are tied: see the differences."
        + (" Dashed: the model before training." if before else "")
        + listed(tasks, PANELS),
        _chart(
            [row for row in (*rows, *before) if row["task"] in tasks[:PANELS]],
            names,
            tasks[:PANELS],
        ),
    )


def _record(pool: Pool, row: Row) -> dict[str, Any]:
    method, budget = row.condition
    count = budget
    if not isinstance(budget, int):  # a share, or tokens: what was chosen is counted
        run = next(run for run in pool.runs if run.name in row.runs)
        count = tables.row_count(output(run, "selection.parquet"))
    low, high = row.interval or (None, None)
    return {
        "method": ", ".join([shortened(method), *([pool.name] if pool.name else [])]),
        "task": row.task,
        "rows": count,
        "score": row.score,
        "low": low,
        "high": high,
    }


def _chart(rows: list[dict[str, Any]], names: list[str], tasks: list[str]) -> Any:
    alt = altair()
    colours, shapes = series(names)
    colour = alt.Color("method:N", scale=alt.Scale(domain=names, range=colours), title="method")
    shape = alt.Shape("method:N", scale=alt.Scale(domain=names, range=shapes), title="method")
    counts = sorted({row["rows"] for row in rows if "rows" in row})
    axis = alt.Axis(values=counts, format=",", labelOverlap="greedy", labelSeparation=6)
    x = alt.X("moved:Q", title="rows selected", axis=axis)
    x.scale = alt.Scale(type="log", nice=False, padding=12)
    flush = alt.Axis(labelFlush=True)  # else titles of panels stand at several heights
    y = alt.Y("score:Q", title="score", scale=alt.Scale(zero=False), axis=flush)
    chart = alt.Chart(alt.Data(values=rows))
    base = chart.transform_filter("isValid(datum.score)")
    line = base.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=colour)
    interval = base.mark_rule(strokeWidth=1).encode(
        x=x,
        y=alt.Y("low:Q", title="score", axis=alt.Axis(labelFlush=True)),
        y2="high:Q",
        color=colour,
    )
    point = base.mark_point(filled=True, size=45, opacity=1).encode(
        x=x, y=y, color=colour, shape=shape
    )
    before = (
        chart.transform_filter("isValid(datum.before)")
        .mark_rule(strokeDash=[4, 3], color=GREY)
        .encode(y=alt.Y("before:Q", title="score"))
    )
    layers = alt.layer(before, interval, line, point).properties(width=230, height=170)
    facet = alt.Facet("task:N", sort=tasks, title=None)
    return (
        layers.facet(
            facet=facet, columns=COLUMNS, bounds="flush", spacing={"row": 75, "column": 60}
        )
        .resolve_axis(x="independent", y="independent")
        .resolve_scale(y="independent")
    )
