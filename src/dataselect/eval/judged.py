"""Scores a model on the tests, with a judge's verdict where a kind asks for it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.data import checksums, files, fingerprint, locks, tables
from dataselect.data.project_files import project_file
from dataselect.eval.judge import read_key
from dataselect.eval.judge_prompt import Pair, read_prompt
from dataselect.eval.judged_files import JudgedTask, JudgedTest, Target, counts, write_files
from dataselect.eval.judgements import judge_pairs
from dataselect.eval.kind_functions import KINDS_FOLDER
from dataselect.eval.run import EvalOptions, evaluate
from dataselect.eval.task_kinds import kind_file, kind_metadata
from dataselect.models.settings import ModelSettings

if TYPE_CHECKING:
    import polars as pl

#: Judged task → `judged`, `wins`, `tokens` and so on: see docs/outputs.md.
Counts = dict[str, dict[str, Any]]


def evaluate_and_judge(
    model: ModelSettings, tests: pl.DataFrame, options: EvalOptions, target: Target, code: str
) -> tuple[pl.DataFrame, Counts]:
    """The `evaluation` table of a model, and what came of the judged tasks.

    A judged test's value is 1 where the judge prefers the output to the gold answer, 0 where it
    prefers the gold answer, 0.5 where both are the same text; null without a judge, or where its
    answer cannot be used. Its subtask is null, as a win rate is a mean over all tests. `target`
    gets the outputs and the judgements, once all are there.

    Args:
        model: as `evaluate` takes it.
        tests: a `tests` table.
        options: with the judge, or without one.
        target: where outputs and judgements go.
        code: the hash of the code that decides the outputs.

    Raises:
        InputError: as of `evaluate` and `judge_pairs`; or the judge's key is not set.
    """
    import polars as pl

    kinds = _judged_kinds(tests)
    judge = options.judge
    key = read_key(judge) if judge and kinds else None  # before anything costs time
    frame = _evaluation(model, tests, options, code) if kinds else evaluate(model, tests, options)
    judged = []
    for task, kind in kinds.items():
        rows = _judged_tests(frame.filter(task=task), tests)
        verdicts = None
        if judge:
            where = f"{kind_file(kind)}: metadata.judge"
            prompt = read_prompt(kind_metadata(kind)["judge"], where)
            verdicts = judge_pairs([row.pair for row in rows], prompt, judge, key)
        judged.append(JudgedTask(task, rows, verdicts))
    write_files(target, judged, judge)
    is_judged = pl.col("task").is_in(list(kinds))
    frame = frame.with_columns(
        value=pl.when(~is_judged).then("value"), subtask=pl.when(~is_judged).then("subtask")
    )
    return _with_values(frame, judged), {task.name: counts(task, judge) for task in judged}


def _judged_kinds(tests: pl.DataFrame) -> dict[str, str]:
    """Task → kind, of the tasks whose kind asks a judge."""
    kinds = tests.select("task", "kind").unique(maintain_order=True).iter_rows()
    return {task: kind for task, kind in kinds if kind_metadata(kind).get("judge")}


def _evaluation(
    model: ModelSettings, tests: pl.DataFrame, options: EvalOptions, code: str
) -> pl.DataFrame:
    """What `evaluate` returns, kept in the scratch folder.

    So a run that ends while the judge is asked, or one with another judge, generates nothing again.
    """
    if model.md5 is None and Path(model.name).is_dir():
        model = replace(model, md5=fingerprint.folder_hash(model.name))
    key = files.content_key(
        *(asdict(model), asdict(replace(options, judge=None)), tests.to_dicts()),
        *(fingerprint.folder_hash(str(project_file(KINDS_FOLDER))), code),
    )
    folder = files.scratch_folder() / "eval" / key
    folder.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(folder.with_suffix(".lock"), "the same evaluation"):
        if not checksums.is_sealed(folder):
            frame = evaluate(model, tests, options)
            tables.write("evaluation", frame, folder / "evaluation.parquet")
            checksums.seal(folder, folder)
    return tables.read("evaluation", folder / "evaluation.parquet")


def _judged_tests(frame: pl.DataFrame, tests: pl.DataFrame) -> list[JudgedTest]:
    """The tests of a task with their outputs; an instruction is all that stands before the answer.

    An output loses white space around it and, as in the RDS+ paper's code, a final `</`.
    """
    columns = tests.select("task", "id", "messages", "answer", dataset="subtask")
    rows = frame.join(columns, on=["task", "id"], how="left", maintain_order="left")
    return [
        JudgedTest(
            id=row["id"],
            dataset=row["dataset"] or row["task"],
            pair=Pair(
                instruction="\n\n".join(turn["content"] for turn in row["messages"][:-1]),
                output=row["output"].removesuffix("</").strip(),
                reference=row["answer"],
            ),
        )
        for row in rows.iter_rows(named=True)
    ]


def _with_values(frame: pl.DataFrame, judged: list[JudgedTask]) -> pl.DataFrame:
    """The `evaluation` table with the judge's preferences as values."""
    import polars as pl

    rows = [
        (task.name, row.id, verdict.preference)
        for task in judged
        for row, verdict in zip(task.tests, task.verdicts or (), strict=False)
    ]
    schema = {"task": pl.String, "id": pl.String, "preference": pl.Float64}
    preferences = pl.DataFrame(rows, schema=schema, orient="row")
    joined = frame.join(preferences, on=["task", "id"], how="left", maintain_order="left")
    return joined.with_columns(value=pl.coalesce("value", "preference")).drop("preference")


def with_judgements(summary: dict[str, Any], judged: Counts) -> dict[str, Any]:
    """A summary of scores whose judged tasks say what the judge did, as `judgements`.

    The mean over tasks leaves out those without a score; it then has their number, as
    `tasks_not_judged`.
    """
    tasks = {
        task: {**scores, "judgements": judged[task]} if task in judged else scores
        for task, scores in summary["tasks"].items()
    }
    missing = sum(not count["judged"] for count in judged.values())
    mean = {**summary["mean"], "tasks_not_judged": missing} if missing else summary["mean"]
    return {**summary, "mean": mean, "tasks": tasks}
