"""What was chosen: printed tables, and plots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dataselect import report
from dataselect.aggregate.run import Selected
from dataselect.data.inert import write_plot

SOURCES_SHOWN = 12  # the rest is in the plots and in the tables


def show(selected: Selected, pool: Path) -> None:
    """Prints how many rows of every source and task were chosen."""
    shares = source_shares(selected.table, pool).rows()
    rows = [(name, held, chosen, f"{chosen / held:.1%}") for name, held, chosen, *_ in shares]
    header = ("source", "pool", "selected", "chosen")
    if tokens := selected.tokens_by_source:
        rows = [(*row, tokens.get(row[0], 0)) for row in rows]
        header = (*header, "tokens")
    if rest := rows[SOURCES_SHOWN:]:
        sums = {i: sum(int(row[i]) for row in rest) for i in range(1, len(header)) if i != 3}
        total = tuple(sums.get(i, "") for i in range(len(header)))
        total = (f"{len(rest)} more", *total[1:])
        rows = [*rows[:SOURCES_SHOWN], total]
    report.table("Selected rows per source", rows, header)
    by_task, note = count_by_task(selected)
    if by_task:
        header = ("task", "selected", "turns used up")[: len(by_task[0])]
        report.table("Selected rows per task", by_task, header)
    if note:
        report.console.print(note)
    if len(selected.figures) > 1:
        report.table("Selection", list(selected.figures.items()))


def count_by_task(selected: Selected) -> tuple[list[tuple], str | None]:
    """Rows of every task, the most first, and a note where used-up turns make them unequal.

    The note comes where the tasks' rows differ by more than their turns do; then every row of the
    table has a third number: the turns that were used up.
    """
    counts = dict(selected.table["task"].drop_nulls().value_counts().rows())
    rows = {task: counts.get(task, 0) for task in {**counts, **selected.used_up}}
    turns = [count + selected.used_up.get(task, 0) for task, count in rows.items()]
    ordered = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
    if not rows or max(rows.values()) - min(rows.values()) <= max(turns) - min(turns):
        return [(task, count) for task, count in ordered if count], None
    used_up = sum(selected.used_up.values())
    note = (
        f"The tasks get unequal numbers of rows: {used_up:,} turns fell on rows that were chosen "
        "already, and were lost, as in the published code."
    )
    return [(task, count, selected.used_up.get(task, 0)) for task, count in ordered], note


def source_shares(selection: pl.DataFrame, pool: Path) -> pl.DataFrame:
    """Per source: rows and share in the pool and in the selection, the largest share first."""
    selected = selection.group_by("source").agg(selected=pl.len())
    frame = pl.scan_parquet(pool, glob=False).group_by("source").agg(pool=pl.len()).collect()
    return (
        frame.join(selected, on="source", how="left")
        .with_columns(pl.col("selected").fill_null(0))
        .with_columns(
            pool_share=pl.col("pool") / pl.col("pool").sum(),
            selected_share=pl.col("selected") / pl.col("selected").sum(),
        )
        .sort(["selected", "pool", "source"], descending=[True, True, False])
    )


def write_plots(selection: pl.DataFrame, pool: Path, folder: Path) -> None:
    """Writes what `dvc plots` draws: shares per source, and a histogram of the scores."""
    by_source = [
        {"source": row["source"], "share": round(row[f"{side}_share"], 6), "of": side}
        for row in source_shares(selection, pool).iter_rows(named=True)
        for side in ("pool", "selected")
    ]
    write_plot(folder / "sources.json", by_source)
    write_plot(folder / "scores.json", histogram(selection))


def histogram(selection: pl.DataFrame, bins: int = 30) -> list[dict[str, Any]]:
    """Counts of selected rows in equal ranges of their scores, per task (or for the pool)."""
    edges = np.histogram_bin_edges(selection["score"].to_numpy().astype(np.float64), bins)
    bars = []
    for (task,), part in selection.group_by("task", maintain_order=True):
        counts, _ = np.histogram(part["score"].to_numpy(), edges)
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
            span = {"low": round(float(low), 6), "high": round(float(high), 6)}
            bars.append({**span, "rows": int(count), "task": task or "pool"})
    return bars
