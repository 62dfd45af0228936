"""out/scores.parquet → out/selection.parquet and out/train.jsonl: the chosen rows."""

from pathlib import Path

from dataselect import report
from dataselect.aggregate import _summary as summary
from dataselect.aggregate.run import AggregateSection, select
from dataselect.data.contamination import figures, show_overlaps, write_selected_overlaps
from dataselect.stage import stage

OUT = Path("out")


def main() -> None:
    """Chooses the rows and prints how many of every source and task."""
    with stage("aggregate", AggregateSection) as run:
        with report.spinner("choosing rows"):
            selected = select(run.section, OUT)
        overlaps = write_selected_overlaps(OUT)
        run.figures.update(selected.figures, contamination=figures(overlaps))
        if selected.tokens_by_source:
            run.figures.update(tokens_by_source=selected.tokens_by_source)
        summary.write_plots(selected.table, OUT / "pool.parquet", Path("metrics/plots"))
        summary.show(selected, OUT / "pool.parquet")
        show_overlaps("Tests that selected rows overlap", overlaps)


if __name__ == "__main__":
    main()
