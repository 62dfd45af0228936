"""The scores of a run as a table and a plot, beside those of the model before training."""

from __future__ import annotations

from typing import Any

from dataselect import report

#: What `eval.run.summary` returns: `mean`, and `tasks` by name.
Summary = dict[str, dict[str, Any]]


def show(after: Summary, before: Summary | None) -> None:
    """Prints score and loss per task and their means, after training and before it.

    Args:
        before: None where the model was not scored before training.
    """
    if not after["tasks"]:
        report.console.print("no tests: nothing is scored")
        return
    old_scores = dict(_by_task(before, "mean over tasks")) if before else {}
    rows = []
    for task, scores in _by_task(after, "mean over tasks"):
        old = old_scores.get(task, {})
        figures = (scores["score"], scores["score_stderr"], old.get("score"))
        rows.append((task, *figures, scores["answer_nll_nats"], old.get("answer_nll_nats")))
    header = ("task", "score", "± s.e.", "score before", "nats/token", "nats before")
    report.table("Scores", rows, header)


def per_task(after: Summary, before: Summary | None) -> list[dict[str, Any]]:
    """The score per task, after and before training: what `dvc plots` draws."""
    return [
        {"task": task, "score": scores["score"], "of": when}
        for when, summary in (("trained", after), ("before", before))
        if summary is not None
        for task, scores in _by_task(summary, "mean")
    ]


def _by_task(summary: Summary, mean_name: str) -> list[tuple[str, dict[str, Any]]]:
    """The scores of every task and, last, their mean under a name of its own."""
    return [*summary["tasks"].items(), (mean_name, summary["mean"])]
