"""Scores of tests → scores of tasks, and of all."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import polars as pl


def summary(evaluation: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Score and loss with their standard errors: `mean` over tasks, and `tasks` by name.

    A task's score is the mean over its tests, and its error that of such a mean; where tests have a
    subtask, it is the mean over the subtasks' means, as of BBH's 27 sets. The error of a mean of
    means is √Σ(error²) / their number. The loss is None where no test of a task has one. A task
    whose kind has several metrics also has `other_metrics`: the mean of each but the first, which
    is the score.
    """
    losses = evaluation.select("task", "subtask", "answer_nll_nats")
    losses = losses.with_columns(pl.col("answer_nll_nats").fill_nan(None))
    tasks: dict[str, dict[str, Any]] = {}
    for (task,), part in evaluation.group_by("task", maintain_order=True):
        tasks[str(task)] = {
            "tests": part.height,
            **_score("score", part.select("subtask", "value")),
            **_score("answer_nll_nats", losses.filter(task=task).drop("task")),
            **_other_metrics(part),
        }
    mean = _mean_of_means(tasks.values(), "score")
    mean |= _mean_of_means(tasks.values(), "answer_nll_nats")
    return {"mean": mean, "tasks": tasks}


def with_corpus_metrics(
    scores: dict[str, dict[str, Any]], measured: dict[str, dict[str, float]]
) -> dict[str, dict[str, Any]]:
    """A summary with metrics of whole tasks among their `other_metrics`; they have no error.

    Args:
        scores: what `summary` returns.
        measured: task → metric → value, as `corpus.corpus_metrics` returns them.
    """
    tasks = {
        task: {**values, "other_metrics": values.get("other_metrics", {}) | measured[task]}
        if task in measured
        else values
        for task, values in scores["tasks"].items()
    }
    return {**scores, "tasks": tasks}


def _score(name: str, values: pl.DataFrame) -> dict[str, float | None]:
    """The mean of a task's values, or of its subtasks' means.

    Args:
        values: the columns `subtask` and, null where a test has none, the values.
    """
    means = [
        _mean_and_error(name, part[:, 1].drop_nulls())
        for _, part in values.group_by("subtask", maintain_order=True)
    ]
    return _mean_of_means(means, name) if len(means) > 1 else means[0]


def _mean_of_means(scores: Iterable[dict[str, Any]], name: str) -> dict[str, float | None]:
    """The mean of scores, and its error; None where there is none."""
    present = [score for score in scores if score[name] is not None]
    if not present:
        return {name: None, f"{name}_stderr": None}
    error = math.sqrt(sum(score[f"{name}_stderr"] ** 2 for score in present))
    return {
        name: round(sum(score[name] for score in present) / len(present), 6),
        f"{name}_stderr": round(error / len(present), 6),
    }


def _other_metrics(tests: pl.DataFrame) -> dict[str, dict[str, float]]:
    rows = tests.select("subtask", "other_metrics").drop_nulls("other_metrics")
    values = rows.explode("other_metrics", empty_as_null=False).unnest("other_metrics")
    by_subtask = values.group_by("metric", "subtask", maintain_order=True).mean()
    means = by_subtask.group_by("metric", maintain_order=True).agg(pl.col("value").mean())
    named = {metric: round(value, 6) for metric, value in means.iter_rows()}
    return {"other_metrics": named} if named else {}


def _mean_and_error(name: str, values: pl.Series) -> dict[str, float | None]:
    if values.is_empty():
        return {name: None, f"{name}_stderr": None}
    deviation = float(values.std() or 0.0)  # ty: ignore[invalid-argument-type]
    return {
        name: round(float(values.mean()), 6),  # ty: ignore[invalid-argument-type]
        f"{name}_stderr": round(deviation / math.sqrt(len(values)), 6),
    }
