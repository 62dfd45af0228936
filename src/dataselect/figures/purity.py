"""S2L's clusters by source: how pure they are, and how much of the trajectories they explain."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from dataselect.errors import InputError, did_you_mean
from dataselect.figures.clusters import Clusters, clusters
from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material, distinct, output
from dataselect.figures.theme import BLUE, GREY, VERMILION

#: Rows that are assigned to clusters, at most; and sources that are drawn.
ROWS, LINES = 20_000, 60

#: Rows whose distances to all clusters are held in memory at once.
BLOCK = 1_000


def purity(material: Material) -> Figure:
    """Draws the purity of clusters by source, and the share of variance between them.

    Raises:
        MissingData: no run has clusters of trajectories.
        InputError: the pool has no such column as the label's.
    """
    found = clusters(material)
    labels = _labels(found, material.label)
    sizes, means = found.means()
    known = np.flatnonzero(found.cluster >= 0)
    if not len(known) or (len(set(found.parent)) < 2 and material.label == "source"):
        raise MissingData(f"all clusters of {found.of_run} are of one source")
    drawn = known[np.linspace(0, len(known) - 1, min(ROWS, len(known))).astype(int)]
    used = np.flatnonzero(sizes)
    near = used[nearest(found.trajectories[drawn], means[used])]
    own = labels[drawn]
    parents = np.array(found.parent)
    between = explained(found, sizes, means)
    rows = []
    for source in sorted(set(found.parent), key=lambda name: -sizes[parents == name].sum()):
        inside = parents[near] == source
        value = cluster_purity(near[inside], own[inside]) if inside.any() else None
        rows.append({"source": source, "purity": value, "explained": between[source]})
    largest_share = float(np.bincount(own).max() / len(own))
    names = distinct(rows, "source")
    more = f" The {LINES} largest of {len(rows):,} sources." if len(rows) > LINES else ""
    return Figure(
        "purity",
        "Purity of clusters",
        f"Left: {len(drawn):,} rows of {found.of_run}, each given to the nearest cluster of "
        f"any source: the share that has its cluster's most frequent {material.label}; line: with "
        "one cluster for all. Right: how much of the variance of a source's trajectories lies "
        f"between its clusters.{more}",
        _chart(rows[:LINES], names[:LINES], largest_share, material.label),
    )


def _labels(found: Clusters, column: str) -> np.ndarray:
    """The label of every row as a number (int64, n)."""
    path = output(found.run, "pool.parquet")
    columns = pl.scan_parquet(path, glob=False).collect_schema()
    if column not in columns or columns[column].is_nested():
        known = [name for name, kind in columns.items() if not kind.is_nested()]
        raise InputError(
            f"--label: the pool has no column `{column}`. {did_you_mean(column, known)}"
        )
    values = pl.read_parquet(path, columns=[column], glob=False)[column]
    return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


def nearest(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The number of each row's nearest centre (n), given n × c and k × c numbers."""
    squares = (centres**2).sum(axis=1)
    found = [
        (squares - 2 * rows[first : first + BLOCK].astype(np.float64) @ centres.T).argmin(axis=1)
        for first in range(0, len(rows), BLOCK)
    ]
    return np.concatenate(found)


def cluster_purity(cluster: np.ndarray, label: np.ndarray) -> float:
    """The share of rows that have the most frequent label of their cluster."""
    counted = pl.DataFrame({"cluster": cluster, "label": label}).group_by("cluster", "label").len()
    largest = counted.group_by("cluster").agg(pl.col("len").max())
    return float(largest["len"].sum() / len(label))


def explained(found: Clusters, sizes: np.ndarray, means: np.ndarray) -> dict[str, float | None]:
    """Of each source's sum of squares, the share between its clusters; None where it has none."""
    known = found.cluster >= 0
    parents = np.array(found.parent)
    squares = (found.trajectories.astype(np.float64) ** 2).sum(axis=1)
    within = np.bincount(found.cluster[known], weights=squares[known], minlength=len(sizes))
    values: dict[str, float | None] = {}
    for source in dict.fromkeys(found.parent):
        own = parents == source
        count = sizes[own].sum()
        mean = (sizes[own, None] * means[own]).sum(axis=0) / max(1, count)
        total = within[own].sum() - count * (mean**2).sum()
        rest = (within[own] - sizes[own] * (means[own] ** 2).sum(axis=1)).sum()
        values[source] = float(1 - rest / total) if total > 1e-9 * count else None
    return values


def _chart(rows: list[dict[str, Any]], names: list[str], largest_share: float, label: str) -> Any:
    alt = altair()
    base = alt.Chart(alt.Data(values=rows))
    axis = alt.Axis(format="%", tickCount=5)
    full = alt.Scale(domain=[0, 1])

    def points(value: str, title: str, colour: str, axis_of_sources: Any) -> Any:
        y = alt.Y("source:N", sort=names, title=None, axis=axis_of_sources)
        x = alt.X(f"{value}:Q", title=title, axis=axis, scale=full)
        stem = base.mark_bar(color="#cccccc", size=1.5).encode(x=x, y=y)
        dot = base.mark_point(filled=True, size=55, opacity=1, color=colour).encode(x=x, y=y)
        return alt.layer(stem, dot).properties(width=230, height=alt.Step(14))

    left = points("purity", f"purity by {label}", BLUE, alt.Axis(labelOverlap=False))
    line = alt.Chart(alt.Data(values=[{"largest_share": largest_share}])).mark_rule(
        color=GREY, strokeDash=[4, 3], strokeWidth=1.5
    )
    left = left + line.encode(x=alt.X("largest_share:Q"))
    right = points("explained", "variance between clusters", VERMILION, None)
    return alt.hconcat(left, right)
