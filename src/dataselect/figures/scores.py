"""The scores of pool and selected rows, by method and task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from dataselect.compare.recorded import Run
from dataselect.data import tables
from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material, listed, output, shortened
from dataselect.figures.theme import GREY, PANEL_TITLE, VERMILION

#: Bins of a histogram, panels at most, and how many stand side by side.
BINS, PANELS, COLUMNS = 30, 40, 4

#: Rows that are read together, and about how many the range of the scores is taken from.
BATCH, SAMPLE = 16_384, 100_000

ALL_ROWS = "all rows"


def scores(material: Material) -> Figure:
    """Draws a histogram of the scores for every method and task.

    A method is drawn once, of its largest pool, at its largest budget and lowest seed.

    Raises:
        MissingData: no run has scores.
    """
    chosen: dict[str, Run] = {}
    for (method, _, _), runs in material.conditions.items():
        if pl.read_parquet(output(runs[0], "groups.parquet"), glob=False)["parent"].null_count():
            chosen[method] = runs[0]  # in clusters, scores are a random order
    if not chosen:
        raise MissingData("no run has scores but of a random order in clusters")
    rows: list[dict[str, Any]] = []
    panels: list[str] = []
    for method, run in chosen.items():
        if len(panels) < PANELS:
            for task, bins in histograms(run).items():
                panels.append(f"{shortened(method, 24)}\n{shortened(task, 24)}")
                rows += [{"panel": panels[-1], **row} for row in bins]
        else:
            panels.append(method)
    drawn = panels[:PANELS]
    names = [name.replace("\n", ", ") for name in panels]
    return Figure(
        "scores",
        "Scores of pool and selected rows",
        "Rows by score, each kind drawn to the full height: a task's score is the highest over its "
        "groups; selected are the rows that were chosen for it. Scores beyond the axis are counted "
        "in the last bar; rows that are no candidates have none." + listed(names, PANELS),
        _chart([row for row in rows if row["panel"] in drawn], drawn),
    )


def histograms(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Task → heights of the bars of `pool` and `selected` rows from each `score` on, at most 1.

    Raises:
        MissingData: the run's scores are gone.
    """
    groups = pl.read_parquet(output(run, "groups.parquet"), glob=False)
    selection = pl.read_parquet(
        output(run, "selection.parquet"), columns=["row", "task"], glob=False
    )
    path = output(run, "scores.parquet")
    step = max(1, tables.row_count(path) // SAMPLE)
    columns = _columns(groups, tables.list_size(path, "score"))
    selected = {task: _chosen(selection, task) for task in columns}
    sample: dict[str, list[np.ndarray]] = {task: [] for task in columns}
    chosen: dict[str, list[np.ndarray]] = {task: [] for task in columns}
    for first, block in _blocks(run):
        for task, numbers in columns.items():
            values = block[:, numbers].max(axis=1)
            sample[task].append(values[-first % step :: step].copy())
            chosen[task].append(values[_inside(selected[task], first, len(values))])
    found = {}
    for task in columns:
        edges = _edges(np.concatenate(sample[task]), np.concatenate(chosen[task]))
        if edges is not None:
            found[task] = (edges, np.zeros(BINS), _counts(np.concatenate(chosen[task]), edges))
    for _, block in _blocks(run):
        for task, (edges, counts, _) in found.items():
            counts += _counts(block[:, columns[task]].max(axis=1), edges)
    if not found:
        raise MissingData(f"no row of {run.name} has a score")
    return {task: _bars(*parts) for task, parts in found.items()}


def _columns(groups: pl.DataFrame, width: int) -> dict[str, list[int]]:
    """Task → its columns of the score matrix; all rows together where groups have no tasks."""
    tasks = groups["task"].to_list()
    if width != len(tasks) or None in tasks:  # with one number a row, groups are parts of the pool
        return {ALL_ROWS: list(range(width))}
    return {task: [i for i, other in enumerate(tasks) if other == task] for task in tasks}


def _chosen(selection: pl.DataFrame, task: str) -> np.ndarray:
    """The rows that were chosen for a task, in order; all where none is noted as its own."""
    own = selection.filter(pl.col("task") == task)
    return (own if own.height else selection)["row"].sort().to_numpy()


def _blocks(run: Run) -> Iterator[tuple[int, np.ndarray]]:
    """Consecutive rows of S: the first one's number, and their scores (b, groups)."""
    first = 0
    path = output(run, "scores.parquet")
    for frame in tables.iter_batches("scores", path, BATCH, ["score"]):
        yield first, frame["score"].to_numpy()
        first += frame.height


def _inside(rows: np.ndarray, first: int, count: int) -> np.ndarray:
    low, high = np.searchsorted(rows, [first, first + count])
    return rows[low:high] - first


def _edges(sample: np.ndarray, chosen: np.ndarray) -> np.ndarray | None:
    """The bounds of the bars: nearly all of pool and selection; None where there is no score."""
    finite = sample[np.isfinite(sample)]
    if not len(finite):
        return None
    ends = list(np.quantile(finite, [0.001, 0.999]))
    own = chosen[np.isfinite(chosen)]
    ends += list(np.quantile(own, [0.01, 0.99])) if len(own) else []
    low, high = float(min(ends)), float(max(ends))
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1)


def _counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)].astype(np.float64)
    return np.histogram(np.clip(finite, edges[0], edges[-1]), edges)[0].astype(np.float64)


def _bars(edges: np.ndarray, pool: np.ndarray, selected: np.ndarray) -> list[dict[str, Any]]:
    """A record for every bound: the height from there on; the last one closes the last bar."""
    heights = [np.append(bars, bars[-1]) / max(1.0, bars.max()) for bars in (pool, selected)]
    return [
        {"score": float(f"{edge:.6g}"), "pool": round(own, 5), "selected": round(chosen, 5)}
        for edge, own, chosen in zip(edges, *(part.tolist() for part in heights), strict=True)
    ]


def _chart(rows: list[dict[str, Any]], panels: list[str]) -> Any:
    alt = altair()
    base = alt.Chart(alt.Data(values=rows))
    kinds = alt.Scale(domain=["pool", "selected"], range=[GREY, VERMILION])
    colour = alt.Color("of:N", scale=kinds, title="rows")
    axis = alt.Axis(tickCount=3, labelOverlap="greedy", labelSeparation=8)
    x = alt.X("score:Q", title=None, axis=axis, scale=alt.Scale(zero=False, nice=False))
    pool = base.transform_calculate(of="'pool'").mark_area(interpolate="step-after", opacity=0.6)
    line = base.transform_calculate(of="'selected'").mark_line(
        interpolate="step-after", strokeWidth=1.5
    )
    layers = alt.layer(
        pool.encode(x=x, y=alt.Y("pool:Q", title=None, axis=None), color=colour),
        line.encode(x=x, y=alt.Y("selected:Q", title=None, axis=None), color=colour),
    ).properties(width=150, height=80)
    header = alt.Header(labelExpr=PANEL_TITLE, labelFontSize=11)
    facet = alt.Facet("panel:N", sort=panels, title=None, header=header)
    return layers.facet(facet=facet, columns=COLUMNS).resolve_scale(
        x="independent", y="independent"
    )
