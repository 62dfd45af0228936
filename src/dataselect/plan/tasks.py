"""Tasks by name in params.yaml: `tests: {from: [gsm8k]}` instead of a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from dataselect import report
from dataselect.data.files import resolve
from dataselect.errors import InputError, did_you_mean, first_few
from dataselect.eval.task_kinds import kind_metadata
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
        InputError: `path` stands beside `from`, or neither is there; a task does not exist, has no
            such rows, or was not fetched.
    """
    if not isinstance(block, dict) or not block:
        return block
    if not {"path", "from"} & set(block):
        hint = did_you_mean(str(next(iter(block))), ["path", "from"])
        raise InputError(
            f"params.yaml: {side}: expected `path`, or `from` with names of tasks; found "
            f"{first_few(block)}. {hint}"
        )
    if "from" not in block:
        return block
    where, named = f"params.yaml: {side}.from", block["from"]
    if "path" in block:
        raise InputError(f"{where}: `path` is given too. Keep one of them.")
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not names:
        raise InputError(f"{where}: expected names of tasks, found {named!r:.60}. Name one.")
    others = {name: value for name, value in block.items() if name != "from"}
    paths = [task_file(name, side, where) for name in names]
    check_fetched(dict(zip(names, paths, strict=True)), where)
    return {**others, "path": paths}


def check_fetched(paths: dict[str, str], where: str) -> None:
    """Checks that the files of tasks are there.

    Args:
        paths: task → its file.
        where: the place in the user's file, for the message.

    Raises:
        InputError: some were not fetched, with the commands that fetch them.
    """
    missing = [name for name, path in paths.items() if not Path(resolve(path)).is_file()]
    if missing:
        commands = " ".join(f"{FOLDER}/dvc.yaml:task@{name}" for name in missing)
        names = ", ".join(f"`{name}`" for name in missing)
        what = f"the task {names} was" if len(missing) == 1 else f"the tasks {names} were"
        raise InputError(f"{where}: {what} not fetched. Run `dvc repro {commands}`.")


def judge_note(params: dict[str, Any], judge: Any) -> str | None:
    """Says which tasks of `tests.from` will not be judged; None where all will be, or none need it.

    Args:
        judge: the settings `eval.judge`.
    """
    named = (params.get("tests") or {}).get("from") or []
    names = [named] if isinstance(named, str) else named
    kinds = {name: load_task(name, "params.yaml: tests.from").kind for name in names}
    needing = [name for name, kind in kinds.items() if kind and "judge" in kind_metadata(kind)]
    if judge is not None or not needing:
        return None
    return f"{', '.join(needing)}: outputs will be written and not judged (`eval.judge` is not set)"


def task_file(name: Any, side: Side, where: str) -> str:
    """The path of a file of a task, whether or not it was fetched.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: there is no such task, or it has no such rows.
    """
    task = load_task(name, where)
    if (task.training if side == "pool" else getattr(task, side)) is None:
        raise InputError(f"{where}: the task `{name}` has no {side}. Remove it from the list.")
    return str(FOLDER / str(name) / f"{side}.parquet")


def show_tasks() -> None:
    """Prints a table of all tasks."""
    rows, tasks = [], {name: load_task(name, "tasks") for name in task_names()}
    for name, task in tasks.items():
        published = [f"{count:,}" if count else "–" for count in task.published]
        fetched = "yes" if (Path(resolve(str(FOLDER / name))) / "source.json").is_file() else "no"
        rows.append((name, *published, task.shots or "–", task.kind or "–", fetched))
    header = ("task", "queries", "tests", "shots", "kind", "fetched")
    report.table("Tasks of the papers: published numbers of rows", rows, header)
    for need, names in needed_by(tasks).items():
        report.console.print(f"{', '.join(names)}: needs {need}")
    report.console.print(f"To fetch a task: dvc repro {FOLDER}/dvc.yaml:task@NAME")
