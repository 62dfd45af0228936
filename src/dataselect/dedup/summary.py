"""What the dedup stage did: as figures, as plots, and as printed tables."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataselect import report
from dataselect.data import contamination
from dataselect.dedup import statistics_report
from dataselect.dedup.run import Deduped
from dataselect.dedup.unusable import NO_FORM
from dataselect.errors import first_few


def figures(done: Deduped) -> dict[str, Any]:
    """What `metrics/dedup.json` notes beside the seconds."""
    noted = {
        "read": done.read,
        "kept": done.kept,
        "dropped": done.dropped,
        "kept_turns": done.turns,
        "queries_in_tests": len(done.queries_in_tests),
        "contamination": contamination.figures(done.overlaps),
        "pool": statistics_report.figures(done.statistics),
    }
    near = done.near_duplicates
    return noted if near is None else noted | {"near_duplicates": asdict(near)}


def write_plots(done: Deduped, folder: Path) -> None:
    """Writes what `dvc plots` draws of the pool."""
    statistics_report.write_plots(done.statistics, done.read, done.dropped, folder)


def show(done: Deduped) -> None:
    """Prints what became of the rows, and what is in the pool."""
    lines = [("rows read", done.read), ("rows kept", done.kept)]
    lines += [(f"kept: {what}", rows) for what, rows in done.turns.items()]
    lines += [(f"dropped: {reason}", rows) for reason, rows in done.dropped.items()]
    if near := done.near_duplicates:
        lines += [("near-duplicates found", near.rows), ("groups of them", near.groups)]
    report.table("Pool", lines)
    if NO_FORM in done.dropped:
        report.console.print(
            "To keep rows with tools, set `model: {chat: model}`, where the model's own template "
            "writes tools: docs/formats.md.",
            markup=False,
        )
    statistics_report.show(done.statistics)
    report.table("Tasks", done.tasks, ("task", "queries", "tests"))
    if _are_apart(done.tasks):
        report.console.print(
            "No task has both queries and tests: what is chosen by queries is scored on other "
            "tasks. Give the rows of both files the same `task`; without that column, a task is "
            "named after its file.",
            markup=False,
        )
    contamination.show_overlaps("Tests that rows of the pool overlap", done.overlaps)
    if shared := done.queries_in_tests:
        named = first_few(f"`{name}` of {task}" for task, name in shared)
        report.console.print(
            f"{len(shared):,} queries stand among the tests, or overlap one: {named}. A method "
            "that uses queries would choose rows by them: remove them from the queries or the "
            "tests.",
            markup=False,
        )


def _are_apart(tasks: list[tuple[str, int, int]]) -> bool:
    """Whether there are queries and tests, but of no task both; the last tuple has the sums."""
    *each, (_, all_queries, all_tests) = tasks or [("", 0, 0)]
    apart = not any(queries and tests for _, queries, tests in each)
    return bool(all_queries and all_tests) and apart
