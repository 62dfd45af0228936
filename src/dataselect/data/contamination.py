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
        rows_left_out: further rows, which are not in the pool for that reason.
    """

    task: str
    tests: int
    overlapping_tests: int
    rows: int
    rows_left_out: int = 0

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
            **({"rows_left_out": overlap.rows_left_out} if overlap.rows_left_out else {}),
            "contaminated": overlap.contaminated,
        }
        for overlap in overlaps
    }


def count_overlaps(pairs: pl.DataFrame, tests: pl.DataFrame) -> list[TaskOverlap]:
    """Every task of the tests with its overlaps.

    Args:
        pairs: rows and tests whose question stands in them: `row`, null where the row was left
            out of the pool for that; `id`, `task`, `test`.
        tests: those that count: `task`, `id`.
    """
    keys = tests.select("task", test="id")
    in_pool = pl.col("row").is_not_null()
    counts = (
        pairs.join(keys, on=["task", "test"], how="semi")
        .group_by("task")
        .agg(
            pl.col("test").filter(in_pool).n_unique(),
            rows=pl.col("id").filter(in_pool).n_unique(),
            rows_left_out=pl.col("id").filter(~in_pool).n_unique(),
        )
    )
    all_tests = tests.group_by("task", maintain_order=True).agg(tests=pl.len())
    joined = all_tests.join(counts, on="task", how="left", maintain_order="left").fill_null(0)
    return [TaskOverlap(*row) for row in joined.iter_rows()]


def pool_overlaps(out: Path) -> list[TaskOverlap]:
    """Every task with its tests that rows of the pool overlap."""
    return count_overlaps(_pairs(out).collect(), tables.read("tests", out / "tests.parquet"))


def write_selected_overlaps(out: Path) -> list[TaskOverlap]:
    """Writes `selected_contamination.parquet`: the tests that chosen rows overlap.

    Returns:
        The tasks that have some.
    """
    chosen = pl.scan_parquet(out / "selection.parquet", glob=False).select("row")
    pairs = _pairs(out).join(chosen, on="row", how="semi").sort("row", "task", "test").collect()
    tables.write("selected_contamination", pairs, out / "selected_contamination.parquet")
    return _with_some(count_overlaps(pairs, tables.read("tests", out / "tests.parquet")))


def read_selected_overlaps(out: Path, tests: pl.DataFrame) -> list[TaskOverlap]:
    """The tasks with tests that chosen rows overlap, among those that were scored.

    Args:
        tests: those: `task`, `id`.
    """
    pairs = tables.read("selected_contamination", out / "selected_contamination.parquet")
    return _with_some(count_overlaps(pairs, tests))


def _pairs(out: Path) -> pl.LazyFrame:
    """Rows and tests whose question stands in them: an answer alone does not count."""
    pairs = pl.scan_parquet(out / "contamination.parquet", glob=False).filter("question_found")
    return pairs.select("row", "id", "task", "test")


def _with_some(overlaps: list[TaskOverlap]) -> list[TaskOverlap]:
    return [task for task in overlaps if task.overlapping_tests]


def show_overlaps(title: str, overlaps: list[TaskOverlap]) -> None:
    """Prints a line for each task, and says which are contaminated; nothing without tasks."""
    if not overlaps:
        return
    header = ("task", "tests", "overlapping", "rows", "rows left out", "verdict")
    rows = [
        (
            task.task,
            task.tests,
            task.overlapping_tests,
            task.rows,
            task.rows_left_out,
            "contaminated" if task.contaminated else "",
        )
        for task in overlaps
    ]
    if not any(task.rows_left_out for task in overlaps):
        header = (*header[:4], header[5])
        rows = [(*row[:4], row[5]) for row in rows]
    report.table(title, rows, header)
    if any(task.overlapping_tests or task.rows_left_out for task in overlaps):
        report.console.print(
            "A test overlaps a row that holds most of its question. Above "
            f"{CONTAMINATED_SHARE:.0%} of the tests a task is called contaminated. Both texts: "
            "dataselect sql sql/contaminated.sql; to leave such rows out: `decontaminate: {action: "
            "drop}`.",
            markup=False,
        )
