"""The files of judged tasks: outputs and references in AlpacaEval's form, and the judgements."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dataselect.data import files
from dataselect.eval.judge import JudgeSettings
from dataselect.eval.judge_prompt import Pair, model_first
from dataselect.eval.judgements import Judgement


@dataclass(frozen=True)
class Target:
    """Where the files of judged tasks go.

    Attributes:
        folder: emptied first. It always gets `summary.json`, as DVC's outs must not be missing.
        generator: what AlpacaEval calls the model whose outputs they are.
    """

    folder: Path
    generator: str


@dataclass(frozen=True)
class JudgedTest:
    """A test that a judge decides.

    Attributes:
        id: of the test, within its task.
        dataset: where it comes from: its subtask, else its task.
        pair: what is compared.
    """

    id: str
    dataset: str
    pair: Pair


@dataclass(frozen=True)
class JudgedTask:
    """A task that a judge scores.

    Attributes:
        name: of the task.
        tests: in order.
        verdicts: one for each test; None without a judge.
    """

    name: str
    tests: list[JudgedTest]
    verdicts: list[Judgement] | None


def write_files(target: Target, judged: list[JudgedTask], judge: JudgeSettings | None) -> None:
    """Writes `summary.json`, and a folder for each task.

    `outputs.json` and `references.json` are what `alpaca_eval` reads. `judgements.json` is there
    if there is a judge.
    """
    shutil.rmtree(target.folder, ignore_errors=True)
    for task in judged:
        folder = target.folder / _folder_name(task.name)
        files.write_json(folder / "outputs.json", _outputs(task, target.generator, "output"))
        files.write_json(folder / "references.json", _outputs(task, "reference", "reference"))
        if task.verdicts is not None:
            files.write_json(folder / "judgements.json", _judgements(task))
    summary = {
        "judge": {"url": judge.url, "model": judge.model} if judge else None,
        "tasks": {task.name: counts(task, judge) for task in judged},
    }
    files.write_json(target.folder / "summary.json", summary)


def counts(task: JudgedTask, judge: JudgeSettings | None) -> dict[str, Any]:
    """How many tests were judged, and how; what the judge took.

    `judged` counts the tests with a value. Of the others, `not_understood` had an answer that does
    not rank the outputs, `refused` none. `tokens` are those of questions and answers, also of
    earlier runs whose answers are used again; `price` is theirs.
    """
    if task.verdicts is None:
        return {"judged": 0}
    values = [verdict.preference for verdict in task.verdicts]
    replies = {row.pair: verdict.reply
               for row, verdict in zip(task.tests, task.verdicts, strict=True)
               if verdict.reply}  # fmt: skip
    refused = sum(bool(verdict.reply and verdict.reply.refusal) for verdict in task.verdicts)
    tokens = sum(reply.tokens for reply in replies.values())
    price = judge.price if judge else None
    return {
        "judged": len(values) - values.count(None),
        "wins": values.count(1.0),
        "draws": values.count(0.5),
        "losses": values.count(0.0),
        "not_understood": values.count(None) - refused,
        "refused": refused,
        "tokens": tokens,
        **({} if price is None else {"price": round(tokens * price / 1e6, 4)}),
    }


def _folder_name(task: str) -> str:
    """A task's name as that of a folder, whatever is in it."""
    name = quote(task, safe=" ")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def _outputs(task: JudgedTask, generator: str, side: str) -> list[dict[str, str]]:
    """One side of a task's pairs in AlpacaEval's form."""
    return [
        {
            "instruction": row.pair.instruction,
            "output": getattr(row.pair, side),
            "generator": generator,
            "dataset": row.dataset,
        }
        for row in task.tests
    ]


def _judgements(task: JudgedTask) -> list[dict[str, Any]]:
    """Every verdict: which output stood first, what the judge answered, what that means."""
    rows = []
    for row, verdict in zip(task.tests, task.verdicts or (), strict=True):
        reply = verdict.reply
        first = "output" if model_first(row.pair.instruction) else "reference"
        rows.append(
            {
                "id": row.id,
                "preference": verdict.preference,
                "first": first if reply else None,
                "answer": reply.text if reply else None,
                "judge": reply.model if reply else None,
                "refusal": reply.refusal if reply else None,
            }
        )
    return rows
