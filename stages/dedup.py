"""The raw pool, queries, tests → out/{pool,queries,tests,dropped}.parquet."""

from pathlib import Path

from dataselect import report
from dataselect.dedup import statistics_report
from dataselect.dedup.run import DedupSection, dedup
from dataselect.errors import first_few
from dataselect.stage import stage


def main() -> None:
    """Reads the files, removes duplicates and unusable rows, prints what became of them."""
    with stage("dedup", DedupSection) as run:
        with report.progress("rows read", None) as progress:
            done = dedup(run.section, Path("out"), progress)
        shared = done.queries_in_tests
        run.figures.update(read=done.read, kept=done.kept, dropped=done.dropped)
        run.figures.update(queries_in_tests=len(shared))
        run.figures.update(pool=statistics_report.figures(done.statistics))
        plots = Path("metrics/plots")
        statistics_report.write_plots(done.statistics, done.read, done.dropped, plots)
        dropped = [(f"dropped: {reason}", rows) for reason, rows in done.dropped.items()]
        report.table("Pool", [("rows read", done.read), ("rows kept", done.kept), *dropped])
        statistics_report.show(done.statistics)
        report.table("Tasks", done.tasks, ("task", "queries", "tests"))
        if shared:
            named = first_few(f"`{name}` of {task}" for task, name in shared)
            report.console.print(
                f"{len(shared):,} queries also stand among the tests: {named}. A method that uses "
                "queries would choose rows by them: remove them from the queries or the tests."
            )


if __name__ == "__main__":
    main()
