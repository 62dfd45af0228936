"""out/scores.parquet → out/selection.parquet and out/train.jsonl: the chosen rows."""

from pathlib import Path

from dataselect import report
from dataselect.aggregate.run import AggregateSection, select, source_shares, write_plots
from dataselect.stage import stage

OUT = Path("out")
SOURCES_SHOWN = 12  # the rest is in the plots and in the tables


def main() -> None:
    """Chooses the rows and prints how many of every source and task."""
    with stage("aggregate", AggregateSection) as run:
        with report.spinner("choosing rows"):
            selection = select(run.section, OUT)
        run.figures["rows"] = selection.height
        write_plots(selection, OUT / "pool.parquet", Path("metrics/plots"))
        shares = source_shares(selection, OUT / "pool.parquet").rows()
        rows = [(name, pool, chosen, f"{chosen / pool:.1%}") for name, pool, chosen, *_ in shares]
        if rest := rows[SOURCES_SHOWN:]:
            total = (f"{len(rest)} more", sum(r[1] for r in rest), sum(r[2] for r in rest), "")
            rows = [*rows[:SOURCES_SHOWN], total]
        report.table("Selected rows per source", rows, ("source", "pool", "selected", "of it"))
        by_task = selection["task"].drop_nulls().value_counts(sort=True).rows()
        if by_task:
            report.table("Selected rows per task", by_task, ("task", "selected"))


if __name__ == "__main__":
    main()
