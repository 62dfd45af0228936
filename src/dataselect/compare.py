"""The scores of a run as a table, beside the model before training."""

from __future__ import annotations

from typing import Any

from dataselect import report

Summary = dict[str, dict[str, Any]]


def show(after: Summary, before: Summary | None) -> None:
    """Prints score and loss per task and their means, trained against before."""
    rows = []
    for task, one in [*after["tasks"].items(), ("mean over tasks", after["mean"])]:
        then = None
        if before is not None:
            then = before["mean"] if task == "mean over tasks" else before["tasks"][task]
        rows.append((task, *_cells(then, one)))
    header = ("task", "score", "± s.e.", "before", "nats/token", "before")
    report.show("Scores", rows, header)


def _cells(before: dict[str, Any] | None, after: dict[str, Any]) -> tuple[Any, ...]:
    then = before or {}
    return (
        after["score"],
        after["score_stderr"],
        then.get("score"),
        after["answer_nll_nats"],
        then.get("answer_nll_nats"),
    )


def per_task(after: Summary, before: Summary | None) -> list[dict[str, Any]]:
    """Score a task, after and before training: what `dvc plots` draws."""
    rows = []
    for when, summary in (("trained", after), ("before", before)):
        if summary is not None:
            named = [*summary["tasks"].items(), ("mean", summary["mean"])]
            rows += [{"task": task, "score": one["score"], "of": when} for task, one in named]
    return rows
