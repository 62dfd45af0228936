"""out/scores.parquet → out/selection.parquet and out/train.jsonl: the chosen rows."""

from pathlib import Path

from dataselect import report
from dataselect.aggregate.run import select, source_shares, write_plots
from dataselect.stage import stage

OUT = Path("out")
MOST = 12  # sources shown; the rest is in the plots and in the tables

with stage("aggregate") as section:
    with report.spinner("choosing rows"):
        selection = select(section, OUT)
    write_plots(selection, OUT / "pool.parquet", Path("metrics/plots"))
    table = source_shares(selection, OUT / "pool.parquet").to_dicts()
    rows = [
        (row["source"], row["pool"], row["selected"], f"{row['selected'] / row['pool']:.1%}")
        for row in table
    ]
    if rest := table[MOST:]:
        counts = (sum(row[of] for row in rest) for of in ("pool", "selected"))
        rows = [*rows[:MOST], (f"{len(rest)} more", *counts, "")]
    report.table("Selected rows per source", rows, ("source", "pool", "selected", "of it"))
    by_task = selection["task"].drop_nulls().value_counts(sort=True).rows()
    report.table("Selected rows per task", by_task, ("task", "selected")) if by_task else None
