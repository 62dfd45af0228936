"""The kinds of task: how a test's answer is compared. One YAML file each, of the user's too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dataselect.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

#: Where they are, each in the form of an lm-eval task.
KINDS_FOLDER = Path("eval_kinds")


def check_kind(kind: str, where: str) -> None:
    """Refuses a kind without a file.

    Raises:
        InputError: naming the nearest kind that has one.
    """
    there = sorted(path.stem for path in KINDS_FOLDER.glob("*.yaml"))
    if kind not in there:
        hint = did_you_mean(kind, there)
        raise InputError(
            f"{where}: no kind is called `{kind}`. {hint} Or add {KINDS_FOLDER}/{kind}.yaml."
        )


def task_kinds(tests: pl.DataFrame, kinds: dict[str, str]) -> dict[str, str]:
    """The kind of every task that has tests: as `kinds` says, or the tests, or guessed.

    Raises:
        InputError: a kind without a file, or multiple choice without the answer among the choices.
    """
    answer = {}
    there = tests["task"].unique(maintain_order=True).to_list()
    for task in kinds:
        if task not in there:
            raise InputError(f"eval.kinds: `{task}` has no tests. {did_you_mean(task, there)}")
    for (name,), part in tests.group_by("task", maintain_order=True):
        task = str(name)
        said = part["kind"].drop_nulls().unique(maintain_order=True)
        if len(said) > 1:
            raise InputError(
                f"tests.path: task {task}: expected one kind, found {', '.join(said)}. Make them "
                "one, or tasks of their own."
            )
        guess = "multiple_choice" if part["choices"].null_count() == 0 else "exact_match"
        kind = kinds.get(task) or (said[0] if len(said) else guess)
        check_kind(kind, f"tests.path: task {task}")
        if kind == "multiple_choice":
            _check_choices(part)
        answer[task] = kind
    return answer


def _check_choices(part: pl.DataFrame) -> None:
    for row in part.iter_rows(named=True):
        if row["answer"] not in (row["choices"] or []):
            raise InputError(
                f"tests.path: {row['id']}: the answer {row['answer']!r} is not among the choices "
                f"{row['choices']}. Mend the row, or give the task's rows another `kind`."
            )
