"""S2L's trajectories: the losses of rows within clusters, and the clusters beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataselect.figures.clusters import Clusters, clusters
from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material
from dataselect.figures.theme import series

#: Clusters that are drawn, rows of each, and how many panels stand side by side.
CLUSTERS, ROWS, COLUMNS = 6, 25, 3

#: The fewest rows of a cluster that is drawn.
FEWEST = 5

MEAN = "mean"


def trajectories(material: Material) -> Figure:
    """Draws rows' losses over the checkpoints in a panel for each cluster, and the means together.

    Raises:
        MissingData: no run has clusters of trajectories.
    """
    found = clusters(material)
    sizes, means = found.means()
    chosen = _choose(found, sizes, means)
    names = [
        f"cluster {found.name[number].rpartition('/')[2]} ({sizes[number]:,} rows)"
        for number in chosen
    ]
    lines: list[dict[str, Any]] = []
    for name, number in zip(names, chosen, strict=True):
        rows = np.flatnonzero(found.cluster == number)
        drawn = rows[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)]
        for row in drawn:
            lines += _line(name, str(row), found.trajectories[row])
        lines += _line(name, MEAN, means[number])
    source = found.parent[chosen[0]]
    return Figure(
        "trajectories",
        "Trajectories within and across clusters",
        f"Losses of the responses at the checkpoints of the small model, in nats per token, of "
        f"{found.of_run}, source {source}: clusters from low to high last losses. Thin: up to "
        f"{ROWS} rows of a cluster, each panel with a scale of its own; dashed, and on the right: "
        "the mean of all its rows.",
        _chart(lines, names),
    )


def _choose(found: Clusters, sizes: np.ndarray, means: np.ndarray) -> list[int]:
    """Clusters of the source that has most rows in large ones: evenly by their last mean loss."""
    large = [number for number in range(len(sizes)) if sizes[number] >= FEWEST]
    if not large:
        raise MissingData(f"no cluster of {found.run.name} has {FEWEST} rows")
    rows: dict[str, int] = {}
    several = {p for p in found.parent if sum(found.parent[n] == p for n in large) > 1}
    for number in large:
        if not several or found.parent[number] in several:
            rows[found.parent[number]] = rows.get(found.parent[number], 0) + int(sizes[number])
    source = max(rows, key=lambda name: rows[name])
    own = sorted(
        (number for number in large if found.parent[number] == source),
        key=lambda number: means[number, -1],
    )
    places = np.linspace(0, len(own) - 1, min(CLUSTERS, len(own))).round().astype(int)
    return [own[place] for place in places]


def _line(cluster: str, row: str, losses: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"cluster": cluster, "row": row, "checkpoint": number, "loss": round(float(loss), 4)}
        for number, loss in enumerate(losses, 1)
    ]


def _chart(lines: list[dict[str, Any]], names: list[str]) -> Any:
    alt = altair()
    colours, shapes = series(names)
    scale = alt.Scale(domain=names, range=colours)
    x = alt.X("checkpoint:Q", title="checkpoint", axis=alt.Axis(format="d", tickMinStep=1))
    y = alt.Y("loss:Q", title="nats per token", scale=alt.Scale(zero=False))
    y.axis = alt.Axis(labelFlush=True, tickCount=4)
    colour = alt.Color("cluster:N", scale=scale, legend=None)
    base = alt.Chart(alt.Data(values=lines))
    rows = base.transform_filter(f"datum.row != '{MEAN}'").mark_line(strokeWidth=0.6, opacity=0.5)
    mean = base.transform_filter(f"datum.row == '{MEAN}'")
    within = (
        alt.layer(
            rows.encode(x=x, y=y, detail="row:N", color=colour),
            mean.mark_line(strokeWidth=1.5, strokeDash=[5, 3], color="black").encode(x=x, y=y),
        )
        .properties(width=180, height=130)
        .facet(facet=alt.Facet("cluster:N", sort=names, title=None), columns=COLUMNS)
        .resolve_axis(x="independent", y="independent")
        .resolve_scale(y="independent")
    )
    legend = alt.Legend(orient="bottom", columns=1, title="cluster")
    title = alt.TitleParams("across clusters", fontSize=12, fontWeight="normal")
    across = (
        mean.mark_line(point={"size": 50, "filled": True}, strokeWidth=1.5)
        .encode(
            x=x,
            y=y,
            color=alt.Color("cluster:N", scale=scale, legend=legend),
            shape=alt.Shape("cluster:N", scale=alt.Scale(domain=names, range=shapes)),
        )
        .properties(
            width=260,
            height=260,
            title=title,
        )
    )
    return alt.hconcat(within, across).resolve_scale(color="independent", shape="independent")
