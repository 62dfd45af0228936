"""Published results beside one's own, by task; they were never measured here."""

from __future__ import annotations

from typing import Any

import yaml

from dataselect.compare.scores import MEAN
from dataselect.data.project_files import project_file
from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material, distinct, shortened
from dataselect.figures.theme import series

#: How many panels stand side by side.
COLUMNS = 4

OWN = "own runs"


def published(material: Material) -> Figure:
    """Draws own scores and published ones of the same methods and tasks, in percent.

    Raises:
        MissingData: no published table has a method and a task of these runs.
    """
    own = [
        {"method": row.condition[0], "task": row.task, "score": 100 * row.score, "of": OWN}
        for _, comparison in material.comparisons
        for row in comparison.rows
        if row.task != MEAN
    ]
    methods = distinct(own, "method")
    tasks = distinct(own, "task")
    others = [row for row in _published() if row["method"] in methods and row["task"] in tasks]
    if not others:
        raise MissingData("no published table has a method and a task of these runs")
    tasks = [task for task in tasks if any(row["task"] == task for row in others)]
    rows = [row for row in [*own, *others] if row["task"] in tasks]
    kinds = distinct(rows, "of")
    used = {row["method"] for row in others}
    order = [shortened(method) for method in methods if method in used]
    shown = [{**r, "method": shortened(str(r["method"]))} for r in rows if r["method"] in used]
    sources = distinct(others, "source")
    return Figure(
        "published",
        "Published results beside one's own",
        "Filled: one's own scores, a point for each budget and pool. Hollow: published, not "
        "measured here, with the papers' own models, pools and budgets, which may be others: "
        f"{'; '.join(sources)}.",
        _chart(shown, order, tasks, kinds),
    )


def _published() -> list[dict[str, Any]]:
    """All published numbers that are of one task."""
    tables = yaml.safe_load((project_file("profiles") / "published.yaml").read_text("utf-8"))
    return [
        {
            "method": method,
            "task": task,
            "score": score,
            "of": f"published: {name}",
            "source": table["source"],
        }
        for name, table in tables.items()
        for method, scores in table["rows"].items()
        if isinstance(scores, list)
        for task, score in zip(table["columns"], scores, strict=True)
        if task != "mean"
    ]


def _chart(
    rows: list[dict[str, Any]], methods: list[str], tasks: list[str], kinds: list[str]
) -> Any:
    alt = altair()
    colours, shapes = series(kinds)
    x = alt.X("score:Q", title="score in %", scale=alt.Scale(zero=False))
    fills = [colours[0], *["white"] * (len(kinds) - 1)]

    def of_kind(values: list[str]) -> dict[str, Any]:
        return {"title": "scores", "scale": alt.Scale(domain=kinds, range=values)}

    point = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(size=60, opacity=1, strokeWidth=1.5)
        .encode(
            x=x,
            y=alt.Y("method:N", sort=methods, title=None),
            stroke=alt.Stroke("of:N", **of_kind(colours)),
            fill=alt.Fill("of:N", **of_kind(fills)),
            shape=alt.Shape("of:N", **of_kind(shapes)),
        )
        .properties(width=170, height=alt.Step(20))
    )
    facet = alt.Facet("task:N", sort=tasks, title=None)
    return (
        point.facet(facet=facet, columns=COLUMNS)
        .resolve_axis(x="independent")
        .resolve_scale(x="independent")
    )
