"""Overlaps of rows and tests, counted by task: what dedup, aggregate and eval show of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dataselect import report
from dataselect.data import tables

#: A task is contaminated if more than this share of its tests overlap: Tülu 3, arXiv 2411.15124.
CONTAMINATED_SHARE = 0.02


@dataclass(frozen=True)
class TaskOverlap:
    """A task's tests that rows overlap.

    Attributes:
        tests: all tests of the task.
        overlapping_tests: those whose question stands in a row.
        rows: the rows in which it does.
    """

    task: str
    tests: int
    overlapping_tests: int
    rows: int

    @property
    def contaminated(self) -> bool:
        """Tülu 3's verdict: more than 2 % of the tests overlap."""
        return self.overlapping_tests > CONTAMINATED_SHARE * self.tests


def figures(overlaps: list[TaskOverlap]) -> dict[str, dict[str, Any]]:
    """What `metrics/` says of each task."""
    return {
        overlap.task: {
            "tests": overlap.tests,
            "overlapping_tests": overlap.overlapping_tests,
            "rows": overlap.rows,
            "contaminated": overlap.contaminated,
        }
        for overlap in overlaps
    }


def count_overlaps(overlaps: pl.LazyFrame, tests: pl.DataFrame) -> list[TaskOverlap]:
    """Every task of the tests with its overlaps; answers do not count.

    Args:
        overlaps: of the table `contamination`.
        tests: of the table `tests`: `task` is enough.
    """
    counts = (
        overlaps.filter("question_found")
        .group_by("task")
        .agg(overlapping=pl.col("test").n_unique(), rows=pl.col("id").n_unique())
        .collect()
    )
    all_tests = tests.group_by("task", maintain_order=True).agg(tests=pl.len())
    joined = all_tests.join(counts, on="task", how="left", maintain_order="left").fill_null(0)
    return [TaskOverlap(*row) for row in joined.iter_rows()]


def pool_overlaps(out: Path) -> list[TaskOverlap]:
    """Every task with its tests that rows of the pool, or rows left out for that, overlap."""
    overlaps = pl.scan_parquet(out / "contamination.parquet")
    return count_overlaps(overlaps, tables.read("tests", out / "tests.parquet"))


def write_selected_overlaps(out: Path) -> list[TaskOverlap]:
    """Writes `selected_contamination.parquet`: the tasks with tests that chosen rows overlap."""
    chosen = pl.scan_parquet(out / "selection.parquet").select("row")
    overlaps = pl.scan_parquet(out / "contamination.parquet").join(chosen, on="row", how="semi")
    counts = count_overlaps(overlaps, tables.read("tests", out / "tests.parquet"))
    found = [task for task in counts if task.overlapping_tests]
    rows = [(task.task, task.tests, task.overlapping_tests, task.rows) for task in found]
    schema = tables.schema("selected_contamination")
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    tables.write("selected_contamination", frame, out / "selected_contamination.parquet")
    return found


def read_selected_overlaps(out: Path) -> list[TaskOverlap]:
    """What `write_selected_overlaps` wrote."""
    path = out / "selected_contamination.parquet"
    return [TaskOverlap(*row) for row in tables.read("selected_contamination", path).iter_rows()]


def show_overlaps(title: str, overlaps: list[TaskOverlap]) -> None:
    """Prints a line for each task, and says which are contaminated; nothing without tasks."""
    if not overlaps:
        return
    rows = [
        (
            task.task,
            task.tests,
            task.overlapping_tests,
            task.rows,
            "contaminated" if task.contaminated else "",
        )
        for task in overlaps
    ]
    report.table(title, rows, ("task", "tests", "overlapping", "rows", "verdict"))
