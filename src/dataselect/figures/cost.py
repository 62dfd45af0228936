"""Score against FLOPs, with the front of what no other method beats at the same cost."""

from __future__ import annotations

from math import floor, log10
from typing import Any

from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material, distinct, shortened
from dataselect.figures.theme import GREY, series

#: Sizes of points and dashes of fronts, by pool.
SIZES = (45, 90, 150, 220)
DASHES = ([1, 0], [6, 4], [2, 3], [8, 3, 2, 3])


def cost(material: Material) -> Figure:
    """Draws the mean over tasks against the FLOPs of selection and training.

    Raises:
        MissingData: no run has noted its FLOPs, or the runs cannot be compared.
    """
    points = [
        {
            "method": shortened(row.condition[0]),
            "pool": pool.name,
            "flops": row.flops,
            "score": row.score,
        }
        for pool, comparison in material.comparisons
        for row in comparison.rows
        if row.task == comparison.rows[-1].task and row.flops
    ]
    if len(points) == 1:
        raise MissingData("there is one method and budget only: nothing to set it against")
    if not points:
        raise MissingData("no run has noted its FLOPs (metrics/cost.json)")
    pools = list(dict.fromkeys(pool.name for pool in material.pools))
    fronts = [p for pool in pools for p in front([q for q in points if q["pool"] == pool])]
    drawn = len(fronts) > len({point["pool"] for point in fronts})  # a line of two points or more
    of_front = " Grey: the Pareto front, the best score at that cost or less" if drawn else ""
    of_pools = "; pools differ in the points' size and the line's dashes"
    return Figure(
        "cost",
        "Score against FLOPs",
        "Mean score over tasks and seeds, and the FLOPs of selection and training, counted from "
        f"the runs' own tokens{'.' if drawn else ''}{of_front}"
        f"{of_pools if len(pools) > 1 else ''}.",
        _chart(points, fronts, pools, material.methods),
    )


def front(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points that no other beats with as few FLOPs, the cheapest first."""
    found: list[dict[str, Any]] = []
    for point in sorted(points, key=lambda point: (point["flops"], -point["score"])):
        if not found or point["score"] > found[-1]["score"]:
            found.append(point)
    return found


def tick_format(flops: list[float]) -> str:
    """A format of d3's whose digits tell apart the ticks of an axis over these numbers."""
    low, high = min(flops), max(flops)
    digits = floor(log10(high)) - floor(log10((high - low) / 10)) if high > low else 2
    return f".{min(digits, 6)}~e"


def _chart(
    points: list[dict[str, Any]],
    fronts: list[dict[str, Any]],
    pools: list[str],
    order: list[str],
) -> Any:
    alt = altair()
    methods = distinct(points, "method")
    colours, shapes = series(methods, order)
    ticks = tick_format([point["flops"] for point in points])
    axis = alt.Axis(format=ticks, tickCount=5, labelOverlap="greedy", labelSeparation=8)
    x = alt.X("flops:Q", title="FLOPs of selection and training", axis=axis)
    x.scale = alt.Scale(type="log", nice=False, padding=20)
    y = alt.Y("score:Q", title="score, mean over tasks", scale=alt.Scale(zero=False, padding=15))
    several = len(pools) > 1
    dash, size = alt.Undefined, alt.value(SIZES[1])
    if several:
        dashes = [DASHES[number % len(DASHES)] for number in range(len(pools))]
        sizes = [SIZES[number % len(SIZES)] for number in range(len(pools))]
        dash = alt.StrokeDash("pool:N", title="pool")
        dash.scale = alt.Scale(domain=pools, range=dashes)
        size = alt.Size("pool:N", title="pool")
        size.scale = alt.Scale(domain=pools, range=sizes)
    line = (
        alt.Chart(alt.Data(values=fronts))
        .mark_line(interpolate="step-after", color=GREY, strokeWidth=1.5)
        .encode(x=x, y=y, detail="pool:N", strokeDash=dash)
    )
    legend = alt.Legend(columns=1 if len(methods) <= 20 else 2)
    mark = (
        alt.Chart(alt.Data(values=points))
        .mark_point(filled=True, opacity=0.9)
        .encode(
            x=x,
            y=y,
            size=size,
            color=alt.Color(
                "method:N", scale=alt.Scale(domain=methods, range=colours), legend=legend
            ),
            shape=alt.Shape(
                "method:N", scale=alt.Scale(domain=methods, range=shapes), legend=legend
            ),
        )
    )
    return alt.layer(line, mark).properties(width=460, height=320)
