"""The raw pool, queries, tests → out/{pool,queries,tests,dropped}.parquet."""

from pathlib import Path

from dataselect import report
from dataselect.data.contamination import figures, show_overlaps
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
        dropped = [(f"dropped: {reason}", rows) for reason, rows in done.dropped.items()]
        report.table("Pool", [("rows read", done.read), ("rows kept", done.kept), *dropped])
        report.table("Tasks", done.tasks, ("task", "queries", "tests"))
        run.figures.update(contamination=figures(done.overlaps))
        show_overlaps("Tests that rows of the pool overlap", done.overlaps)
        if shared:
            named = first_few(f"`{name}` of {task}" for task, name in shared)
            report.console.print(
                f"{len(shared):,} queries also stand among the tests: {named}. A method that uses "
                "queries would choose rows by them: remove them from the queries or the tests."
            )


if __name__ == "__main__":
    main()
