"""Tasks by name in params.yaml: `tests: {from: [gsm8k]}` instead of a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from dataselect import report
from dataselect.data.files import resolve
from dataselect.errors import InputError
from dataselect.tasks import load_task, needed_by, task_names

#: Where a task's files are fetched to.
FOLDER = Path("remote/tasks")


#: Which of a task's files.
Side = Literal["queries", "tests", "pool"]


def with_paths(block: Any, side: Side) -> Any:
    """A block of params.yaml with the paths of the tasks' files instead of their names.

    Args:
        block: `queries` or `tests`.

    Raises:
        InputError: `path` stands beside `from`; a task does not exist, has no such rows, or was
            not fetched.
    """
    if not isinstance(block, dict) or "from" not in block:
        return block
    where, named = f"params.yaml: {side}.from", block["from"]
    if "path" in block:
        raise InputError(f"{where}: `path` is given too. Keep one of them.")
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not names:
        raise InputError(f"{where}: expected names of tasks, found {named!r:.60}. Name one.")
    others = {name: value for name, value in block.items() if name != "from"}
    return {**others, "path": [task_file(name, side, where) for name in names]}


def task_file(name: Any, side: Side, where: str) -> str:
    """The path of a file of a task that was fetched.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: there is no such task, it has no such rows, or it was not fetched.
    """
    task = load_task(name, where)
    if (task.training if side == "pool" else getattr(task, side)) is None:
        raise InputError(f"{where}: the task `{name}` has no {side}. Remove it from the list.")
    path = str(FOLDER / str(name) / f"{side}.parquet")
    if not Path(resolve(path)).is_file():
        raise InputError(
            f"{where}: the task `{name}` was not fetched. Run "
            f"`dvc repro {FOLDER}/dvc.yaml:task@{name}`."
        )
    return path


def show_tasks() -> None:
    """Prints a table of all tasks."""
    rows, tasks = [], {name: load_task(name, "tasks") for name in task_names()}
    for name, task in tasks.items():
        published = [f"{count:,}" if count else "–" for count in task.published]
        fetched = "yes" if Path(resolve(str(FOLDER / name))).is_dir() else "no"
        rows.append((name, *published, task.shots or "–", task.kind or "–", fetched))
    header = ("task", "queries", "tests", "shots", "kind", "fetched")
    report.table("Tasks of the papers: published numbers of rows", rows, header)
    for need, names in needed_by(tasks).items():
        report.console.print(f"{need} is needed by {', '.join(names)}")
    report.console.print(f"To fetch a task: dvc repro {FOLDER}/dvc.yaml:task@NAME")
