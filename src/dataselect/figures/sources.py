"""What pool and selections are made of, by source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from dataselect.compare.recorded import Run
from dataselect.figures.figure import Figure, MissingData, altair
from dataselect.figures.material import Material, listed, output
from dataselect.figures.theme import PANEL_TITLE, SKY

#: Sources with a line of their own, panels at most, and how many stand side by side.
LINES, PANELS, COLUMNS = 60, 24, 6


def sources(material: Material) -> Figure:
    """Draws each source's share of every selection, and of the pool that it was chosen from.

    Raises:
        MissingData: a pool or a selection is gone.
    """
    if not material.conditions:
        raise MissingData("there is no run that finished")
    panels = {material.name(c, 22, "\n"): runs for c, runs in material.conditions.items()}
    drawn = dict(list(panels.items())[:PANELS])
    tables = {name: _shares(runs) for name, runs in drawn.items()}
    total = pl.concat(tables.values()).group_by("source").agg(pl.col("pool").mean())
    order = total.sort("pool", "source", descending=[True, False])["source"].to_list()
    own, others = order[:LINES], order[LINES:]
    rows = [row for name, table in tables.items() for row in _rows(name, table, own, len(others))]
    names = [*own, *([_others(len(others))] if others else [])]
    return Figure(
        "sources",
        "Sources of pool and selections",
        "Bars: the share of the selected rows, mean over seeds. Lines: the share of the pool that "
        "they were chosen from." + listed([name.replace("\n", " ") for name in panels], PANELS),
        _chart(rows, names, list(drawn)),
    )


def _shares(runs: list[Run]) -> pl.DataFrame:
    """Of the runs of a method, `source`, and its share of `pool` and `selected`: means."""
    selected = pl.concat([_share(output(run, "selection.parquet")) for run in runs])
    pool = _share(output(runs[0], "pool.parquet")).rename({"share": "pool"})
    mean = selected.group_by("source").agg(selected=pl.col("share").sum() / len(runs))
    return pool.join(mean, on="source", how="left").with_columns(pl.col("selected").fill_null(0.0))


def _share(path: Path) -> pl.DataFrame:
    counted = pl.scan_parquet(path, glob=False).group_by("source").len().collect(engine="streaming")
    return counted.select("source", share=pl.col("len") / counted["len"].sum())


def _others(count: int) -> str:
    return f"({count:,} other sources)"


def _rows(name: str, table: pl.DataFrame, own: list[str], others: int) -> list[dict[str, Any]]:
    source = pl.when(pl.col("source").is_in(own)).then("source").otherwise(pl.lit(_others(others)))
    joined = table.group_by(source.alias("source")).agg(pl.col("pool", "selected").sum())
    return [{"panel": name, **row} for row in joined.to_dicts()]


def _chart(rows: list[dict[str, Any]], names: list[str], panels: list[str]) -> Any:
    alt = altair()
    y = alt.Y("source:N", sort=names, title=None, axis=alt.Axis(labelOverlap=False))
    title = "share of rows"
    base = alt.Chart(alt.Data(values=rows))
    kinds = alt.Scale(domain=["selected", "pool"], range=[SKY, "black"])
    bar = (
        base.transform_calculate(of="'selected'")
        .mark_bar()
        .encode(
            x=alt.X("selected:Q", title=title, axis=alt.Axis(format="%", tickCount=4)),
            y=y,
            color=alt.Color("of:N", scale=kinds, title="share of"),
        )
    )
    tick = (
        base.transform_calculate(of="'pool'")
        .mark_tick(thickness=2, size=11)
        .encode(x=alt.X("pool:Q", title=title), y=y, color=alt.Color("of:N", scale=kinds))
    )
    width = 300 if len(panels) == 1 else 150
    layers = alt.layer(bar, tick).properties(width=width, height=alt.Step(14))
    facet = alt.Facet("panel:N", sort=panels, title=None, header=alt.Header(labelExpr=PANEL_TITLE))
    return layers.facet(facet=facet, columns=COLUMNS).resolve_axis(x="independent")
