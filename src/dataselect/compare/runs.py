"""The scores of a run as a table and a plot, beside those of the model before training."""

from __future__ import annotations

from typing import Any

from dataselect import report
from dataselect.data.contamination import TaskOverlap, figures

#: What `eval.run.summary` returns: `mean`, and `tasks` by name.
Summary = dict[str, dict[str, Any]]


def show(after: Summary, before: Summary | None) -> None:
    """Prints score and loss per task and their means, after training and before it.

    A star marks the tasks that `with_overlaps` calls contaminated, and the means over them.

    Args:
        before: None where the model was not scored before training.
    """
    if not after["tasks"]:
        report.console.print("no tests: nothing is scored")
        return
    old_scores = dict(_by_task(before, "mean over tasks")) if before else {}
    contaminated = _contaminated(after)
    rows = []
    for task, scores in _by_task(after, "mean over tasks"):
        old = old_scores.get(task, {})
        value = "not judged" if _not_judged(scores) else scores["score"]
        score = (value, scores["score_stderr"], old.get("score"))
        if task in contaminated or (contaminated and scores is after["mean"]):
            task += " *"
        rows.append((task, *score, scores["answer_nll_nats"], old.get("answer_nll_nats")))
    header = ("task", "score", "± s.e.", "score before", "nats/token", "nats before")
    report.table("Scores", rows, header)
    _report_judgements(after)
    if contaminated:
        named = ", ".join(
            f"{task} ({counts['overlapping_tests']:,} of {counts['tests']:,} tests)"
            for task, counts in contaminated.items()
        )
        report.console.print(
            f"* contaminated: rows that the model was trained on overlap its tests: {named}. Such "
            "a score says little of other questions. To leave such rows out, set `decontaminate: "
            "{action: drop}` in params.yaml.",
            markup=False,
        )


def _not_judged(scores: dict[str, Any]) -> bool:
    """Whether a task's score is that of a judge, and there was none."""
    return not scores.get("judgements", {"judged": True})["judged"]


def _report_judgements(after: Summary) -> None:
    """Says which tasks and tests have no score because no judge decided them."""
    missing = [task for task, scores in after["tasks"].items() if _not_judged(scores)]
    if missing:
        report.console.print(
            f"not judged, and left out of the mean: {', '.join(missing)}. Set `eval: {{judge: "
            "{url: …, model: …}}` in params.yaml, or use the outputs in out/judged/.",
            markup=False,
        )
    for task, scores in after["tasks"].items():
        judged = scores.get("judgements", {}).get("judged")
        if judged and judged < scores["tests"]:
            report.console.print(
                f"{task}: the score is of {judged:,} of {scores['tests']:,} tests; the judge gave "
                "no answer that can be used for the others: out/judged/ has what it said",
                markup=False,
            )


def with_overlaps(after: Summary, overlaps: list[TaskOverlap]) -> Summary:
    """The same summary; a task with tests that chosen rows overlap says so, as `contamination`."""
    counts = figures(overlaps)
    tasks = {
        task: {**scores, "contamination": counts[task]} if task in counts else scores
        for task, scores in after["tasks"].items()
    }
    marked = _contaminated({"tasks": tasks})
    mean = {**after["mean"], "contaminated_tasks": len(marked)} if marked else after["mean"]
    return {**after, "mean": mean, "tasks": tasks}


def _contaminated(summary: Summary) -> dict[str, dict[str, Any]]:
    """The contaminated tasks of a summary, each with its counts."""
    counts = {task: scores.get("contamination") for task, scores in summary["tasks"].items()}
    return {task: found for task, found in counts.items() if found and found["contaminated"]}


def per_task(after: Summary, before: Summary | None) -> list[dict[str, Any]]:
    """The score per task, after and before training: what `dvc plots` draws.

    A task that was not judged has none.
    """
    return [
        {"task": task, "score": scores["score"], "of": when}
        for when, summary in (("trained", after), ("before", before))
        if summary is not None
        for task, scores in _by_task(summary, "mean")
        if scores["score"] is not None or scores is summary["mean"]
    ]


def _by_task(summary: Summary, mean_name: str) -> list[tuple[str, dict[str, Any]]]:
    """The scores of every task and, last, their mean under a name of its own."""
    return [*summary["tasks"].items(), (mean_name, summary["mean"])]
