"""The raw pool, queries, tests → out/{pool,queries,tests,dropped,contamination}.parquet."""

from pathlib import Path

from dataselect import report
from dataselect.dedup import summary
from dataselect.dedup.run import DedupSection, dedup
from dataselect.stage import stage


def main() -> None:
    """Reads the files, removes duplicates and unusable rows, prints what became of them."""
    with stage("dedup", DedupSection) as run:
        with report.progress("rows read", None) as progress:
            done = dedup(run.section, Path("out"), progress)
        run.figures.update(summary.figures(done))
        summary.write_plots(done, Path("metrics/plots"))
        summary.show(done)


if __name__ == "__main__":
    main()
