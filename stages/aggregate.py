"""out/scores.parquet → out/selection.parquet and out/train.jsonl: the chosen rows."""

from pathlib import Path

from dataselect import report
from dataselect.aggregate import run as aggregation
from dataselect.data.contamination import figures, show_overlaps, write_selected_overlaps
from dataselect.stage import stage

OUT = Path("out")
SOURCES_SHOWN = 12  # the rest is in the plots and in the tables


def main() -> None:
    """Chooses the rows and prints how many of every source and task."""
    with stage("aggregate", aggregation.AggregateSection) as run:
        with report.spinner("choosing rows"):
            selected = aggregation.select(run.section, OUT)
        selection = selected.table
        overlaps = write_selected_overlaps(OUT)
        run.figures.update(rows=selection.height, contamination=figures(overlaps))
        aggregation.write_plots(selection, OUT / "pool.parquet", Path("metrics/plots"))
        shares = aggregation.source_shares(selection, OUT / "pool.parquet").rows()
        rows = [(name, pool, chosen, f"{chosen / pool:.1%}") for name, pool, chosen, *_ in shares]
        if rest := rows[SOURCES_SHOWN:]:
            total = (f"{len(rest)} more", sum(r[1] for r in rest), sum(r[2] for r in rest), "")
            rows = [*rows[:SOURCES_SHOWN], total]
        report.table("Selected rows per source", rows, ("source", "pool", "selected", "chosen"))
        by_task, note = aggregation.count_by_task(selected)
        if by_task:
            header = ("task", "selected", "turns used up")[: len(by_task[0])]
            report.table("Selected rows per task", by_task, header)
        if note:
            report.console.print(note)
        show_overlaps("Tests that selected rows overlap", overlaps)


if __name__ == "__main__":
    main()
