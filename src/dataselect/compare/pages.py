"""A comparison as a table for the terminal, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from typing import Any

from dataselect import report
from dataselect.compare.comparison import Comparison, Row
from dataselect.compare.intervals import Interval
from dataselect.compare.scores import condition_name
from dataselect.compare.sentences import NATS, POINTS, Unit
from dataselect.compare.statistics import Difference

SCORES = ("method", "budget", "seeds", "score", "95% interval", "nats", "FLOPs", "seconds")
DIFFERENCES = ("method", "budget", "points", "95% interval", "p", "could see")
LOSSES = ("method", "budget", "nats", *DIFFERENCES[3:])

#: What CSV has of a loss's difference; the other columns are those of the score's.
LOSS_COLUMNS = (
    "difference", "difference_low", "difference_high", "stderr", "dof", "p", "p_holm",
    "minimum_detectable", "shown", "about_methods",
)  # fmt: skip

#: Under the tables.
ABOUT_SCORES = (
    "Means over seeds. nats: the loss of the gold answers, per token. FLOPs and seconds: of "
    "selection and training."
)
ABOUT_DIFFERENCES = (
    "Points are hundredths of a score. p is corrected by Holm's method for all that is compared. "
    "could see: the difference that would have been found four times in five."
)
ABOUT_LOSSES = "In nats per token of the gold answers: lower is better."


def show(comparison: Comparison) -> None:
    """Prints it as tables of 80 columns, and sentences."""
    for title, header, rows, about in tables(comparison):
        report.table(title, rows, header)
        if about:
            _print(f"{about}\n")
    for title, lines in sentence_lists(comparison):
        report.console.print(title, style="bold")
        for line in lines:
            width = report.console.width
            _print(textwrap.fill(line, width, initial_indent="- ", subsequent_indent="  "))
        report.console.print()


def _print(text: str) -> None:
    report.console.print(text, markup=False, highlight=False, emoji=False)


def markdown(comparison: Comparison) -> str:
    """The tables and sentences as Markdown."""
    blocks = []
    for title, header, rows, about in tables(comparison):
        lines = [header, ["---"] * len(header), *rows]
        text = "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)
        blocks += [f"### {title}", text, *([about] if about else [])]
    for title, sentences in sentence_lists(comparison):
        blocks += [f"### {title}", "\n".join(f"- {line}" for line in sentences)]
    return "\n\n".join(blocks) + "\n"


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|")


def as_json(comparison: Comparison) -> str:
    """All numbers and sentences as JSON."""
    found = {
        "scores": [_score_record(row) for row in comparison.rows],
        "differences": [_difference_record(d) for d in comparison.differences],
        "loss_differences": [_difference_record(d) for d in comparison.loss_differences],
        "shown": comparison.shown,
        "not_shown": comparison.not_shown,
        "notes": comparison.notes,
    }
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def as_csv(comparison: Comparison) -> str:
    """A line for each method and task: its score, and its differences from the baseline."""
    differences = {(d.task, d.method): _difference_record(d) for d in comparison.differences}
    losses = {(d.task, d.method): _difference_record(d) for d in comparison.loss_differences}
    records = []
    for row in comparison.rows:
        record = _score_record(row)
        record["seeds"] = " ".join(map(str, record["seeds"]))
        record["runs"] = " ".join(record["runs"])
        record |= differences.get((row.task, row.condition), {})
        loss = losses.get((row.task, row.condition), {})
        records.append(record | {f"loss_{name}": loss[name] for name in LOSS_COLUMNS if loss})
    names = dict.fromkeys(name for record in records for name in record)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _score_record(row: Row) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    method, budget = row.condition
    return {
        "task": row.task,
        "method": method,
        "budget": budget,
        "seeds": row.seeds,
        "runs": row.runs,
        "tests": row.tests,
        "score": row.score,
        "score_low": low,
        "score_high": high,
        "answer_nll_nats": row.loss,
        "flops": row.flops,
        "seconds": row.seconds,
        "contaminated": row.contaminated,
    }


def _difference_record(found: Difference) -> dict[str, Any]:
    low, high = found.interval or (None, None)
    return {
        "task": found.task,
        "method": found.method[0],
        "budget": found.method[1],
        "baseline": found.baseline[0],
        "baseline_budget": found.baseline[1],
        "difference": found.difference,
        "difference_low": low,
        "difference_high": high,
        "stderr": found.estimate.stderr,
        "dof": found.estimate.dof,
        "p": found.p,
        "p_holm": found.p_holm,
        "compared": found.compared,
        "minimum_detectable": found.minimum_detectable,
        "shown": found.shown,
        "about_methods": found.about_methods,
    }


def tables(comparison: Comparison) -> list[tuple[str, Sequence[str], list[tuple], str]]:
    """Title, header, rows and a line below: the scores and the differences of each task."""
    found: list[tuple[str, Sequence[str], list[tuple], str]] = []
    tasks = dict.fromkeys(row.task for row in comparison.rows)
    for task in tasks:
        rows = [_score_cells(row) for row in comparison.rows if row.task == task]
        found.append((f"Scores, {task}", SCORES, rows, ""))
    found[-1] = (*found[-1][:3], ABOUT_SCORES)
    kinds = (
        ("Minus", DIFFERENCES, POINTS, comparison.differences, ABOUT_DIFFERENCES),
        ("Loss minus that of", LOSSES, NATS, comparison.loss_differences, ABOUT_LOSSES),
    )
    for words, header, unit, differences, about in kinds:
        for task in dict.fromkeys(d.task for d in differences):  # losses may be of fewer tasks
            cells = [_difference_cells(d, unit) for d in differences if d.task == task]
            title = f"{words} {condition_name((differences[0].baseline[0], None))}, {task}"
            found.append((title, header, cells, ""))
        if differences:
            found[-1] = (*found[-1][:3], about)
    return found


def sentence_lists(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """Title and sentences: what is shown, what is not, and notes; without empty lists."""
    lists = [
        ("What is shown", comparison.shown),
        ("What is not shown", comparison.not_shown),
        ("Notes", comparison.notes),
    ]
    if comparison.differences and not comparison.shown:
        lists[0] = ("What is shown", ["no difference."])
    return [(title, lines) for title, lines in lists if lines]


def _score_cells(row: Row) -> tuple[str, ...]:
    method, budget = row.condition
    star = " *" if row.contaminated else ""
    return (
        method,
        "–" if budget is None else str(budget),
        str(len(row.seeds) or "–"),
        f"{row.score:.3f}{star}",
        _range(row.interval),
        "–" if row.loss is None else f"{row.loss:.3f}",
        "–" if row.flops is None else f"{row.flops:.1e}",
        "–" if row.seconds is None else f"{row.seconds:,.0f}",
    )


def _range(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval[0]:.3f}–{interval[1]:.3f}"


def _p_value(p: float | None) -> str:
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _difference_cells(found: Difference, unit: Unit) -> tuple[str, ...]:
    low, high = found.interval or (None, None)
    seen = found.minimum_detectable
    return (
        found.method[0],
        "–" if found.method[1] is None else str(found.method[1]),
        unit.text(found.difference, signed=True),
        "–"
        if low is None or high is None
        else f"{unit.text(low, signed=True)} to {unit.text(high, signed=True)}",
        _p_value(found.p_holm),
        "–" if seen is None else unit.text(seen),
    )
