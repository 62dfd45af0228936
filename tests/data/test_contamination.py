"""Overlaps counted by task, for the pool and for the chosen rows."""

import polars as pl
import pytest

from dataselect.data import tables
from dataselect.data.contamination import (
    TaskOverlap,
    figures,
    pool_overlaps,
    read_selected_overlaps,
    show_overlaps,
    write_selected_overlaps,
)
from tests.helpers import complete, table


@pytest.fixture
def out(tmp_path):
    """Three tasks, of 50, 49 and 1 tests; four rows, of which the first and the last are chosen."""
    names = [("a", f"t{i}") for i in range(50)] + [("b", f"t{i}") for i in range(49)] + [("c", "x")]
    tests = pl.DataFrame(names, schema=["task", "id"], orient="row")
    tests = complete("tests", tests.with_columns(answer=pl.lit(""), messages=pl.lit([])))
    tables.write("tests", tests.cast({"messages": tables.MESSAGES}), tmp_path / "tests.parquet")
    found = [
        (0, "r0", "s", "a", "t0", 0.75, "x", True, False),
        (1, "r1", "s", "a", "t0", 1.0, "x", True, True),
        (1, "r1", "s", "b", "t0", 1.0, "x", True, False),
        (2, "r2", "s", "a", "t1", 0.0, "x", False, True),
        (None, "dropped", "s", "b", "t1", 1.0, "x", True, False),
        (3, "r3", "s", "c", "x", 0.0, "x", False, True),
    ]
    path = tmp_path / "contamination.parquet"
    tables.write("contamination", table("contamination", found), path)
    chosen = [(0, 3, "r3", "s", 0, None, 1.0), (1, 0, "r0", "s", 0, None, 0.5)]
    tables.write("selection", table("selection", chosen), tmp_path / "selection.parquet")
    return tmp_path


def test_the_pools_overlaps_with_rows_that_were_dropped_for_them(out):
    assert pool_overlaps(out) == [
        TaskOverlap("a", 50, 1, 2),
        TaskOverlap("b", 49, 1, 1, rows_left_out=1),
        TaskOverlap("c", 1, 0, 0),
    ]


def test_of_the_chosen_rows_only_tasks_with_overlaps_are_written(out):
    written = write_selected_overlaps(out)
    assert written == [TaskOverlap("a", 50, 1, 1)]
    tests = tables.read("tests", out / "tests.parquet")
    assert read_selected_overlaps(out, tests) == written
    # Of the tests that are scored: here the first of each task, so that one of one overlaps.
    used = tests.group_by("task", maintain_order=True).head(1)
    assert read_selected_overlaps(out, used) == [TaskOverlap("a", 1, 1, 1)]
    assert read_selected_overlaps(out, tests.filter(task="b")) == []


def test_more_than_two_percent_is_contaminated():
    tasks = [TaskOverlap("a", 50, 1, 9), TaskOverlap("b", 49, 1, 1), TaskOverlap("c", 9, 0, 0)]
    assert [task.contaminated for task in tasks] == [False, True, False]
    assert figures(tasks[1:2]) == {
        "b": {"tests": 49, "overlapping_tests": 1, "rows": 1, "contaminated": True}
    }


def test_what_is_printed(capsys):
    show_overlaps("Overlaps", [])
    assert capsys.readouterr().out == ""
    show_overlaps("Overlaps", [TaskOverlap("a", 50, 1, 9), TaskOverlap("b", 49, 1, 1)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:4] == [
        ["Overlaps"],
        ["task", "tests", "overlapping", "rows", "verdict"],
        ["a", "50", "1", "9"],
        ["b", "49", "1", "1", "contaminated"],
    ]
