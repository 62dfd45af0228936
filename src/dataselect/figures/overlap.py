"""How far two selections are the same rows: the Jaccard index of every pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material, listed, output
from dataselect.figures.theme import SHADES

#: About the width of a letter of a label, in pixels.
LETTER = 6

#: Methods at most, and with how many the cells still have numbers.
MOST, WITH_NUMBERS = 50, 16


def overlap(material: Material) -> Figure:
    """Draws the Jaccard index of the selections, by method and budget: means over pairs of seeds.

    Raises:
        MissingData: there is one selection only, all are empty, or one is gone.
    """
    if sum(map(len, material.conditions.values())) < 2:
        raise MissingData("there is one selection only: nothing to overlap with")
    names = [material.name(condition) for condition in material.conditions]
    groups = list(material.conditions.values())[:MOST]
    counts = [len(group) for group in groups]
    selections = [
        pl.read_parquet(output(run, "selection.parquet"), columns=["id"], glob=False)["id"]
        for group in groups
        for run in group
    ]
    if not any(map(len, selections)):
        raise MissingData("all selections are empty")
    rows = _cells(names[:MOST], jaccard(selections), np.cumsum([0, *counts]))
    return Figure(
        "overlap",
        "Overlap of selections",
        "Jaccard index: rows that both have, of the rows that either has, by id; means over pairs "
        "of seeds. On the diagonal: two seeds of one method; empty where there is one seed, or "
        "where two selections have no row." + listed(names, MOST),
        _chart(rows, names[:MOST]),
    )


def jaccard(selections: list[pl.Series]) -> np.ndarray:
    """Of every two selections (float64, n × n), given their ids; NaN where both are empty."""
    from scipy.sparse import csr_array

    sizes = [ids.n_unique() for ids in selections]
    frames = [pl.DataFrame({"id": ids.unique(maintain_order=True)}) for ids in selections]
    codes = pl.concat(frames)["id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    starts = np.cumsum([0, *sizes])
    width = int(codes.max(initial=0)) + 1
    found = csr_array((np.ones(len(codes)), codes, starts), shape=(len(sizes), width))
    shared = (found @ found.T).toarray()
    either = np.add.outer(sizes, sizes) - shared
    return np.divide(shared, either, out=np.full_like(shared, np.nan), where=either > 0)


def _cells(names: list[str], values: np.ndarray, starts: np.ndarray) -> list[dict[str, Any]]:
    """A cell for each two methods: the mean over pairs of their runs, none with itself."""
    rows = []
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            block = values[starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
            pairs = block[~np.eye(len(block), dtype=bool)] if i == j else block.ravel()
            known = pairs[np.isfinite(pairs)]
            value = round(float(known.mean()), 4) if len(known) else None
            rows.append({"first": first, "second": second, "jaccard": value})
    return rows


def _chart(rows: list[dict[str, Any]], names: list[str]) -> Any:
    alt = altair()
    step = 34 if len(names) <= WITH_NUMBERS else 15
    crowded = max(map(len, names)) * LETTER > step
    x = alt.X("second:N", sort=names, title=None)
    x.axis = alt.Axis(labelAngle=-60 if crowded else 0, labelOverlap=False)
    y = alt.Y("first:N", sort=names, title=None, axis=alt.Axis(labelOverlap=False))
    known = alt.Chart(alt.Data(values=[row for row in rows if row["jaccard"] is not None]))
    colour = alt.Color("jaccard:Q", title="Jaccard index")
    colour.scale = alt.Scale(scheme=SHADES, domain=[0, 1])
    chart = known.mark_rect().encode(x=x, y=y, color=colour)
    if len(names) <= WITH_NUMBERS:
        dark = alt.condition("datum.jaccard > 0.5", alt.value("black"), alt.value("white"))
        text = known.mark_text(fontSize=11).encode(
            x=x, y=y, text=alt.Text("jaccard:Q", format=".2f"), color=dark
        )
        chart = alt.layer(chart, text)
    return chart.properties(width=alt.Step(step), height=alt.Step(min(step, 26)))
