"""The papers' tasks by name: where their rows come from, and how these become queries and tests.

The file `tasks/<name>.py` has a function `<name>` that returns a `Task`; some have `<name>_pot`
too: the same tests, solved by a program. The rows that a task makes are files' rows as
docs/settings.md describes them: `messages` with `answer` and the like.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from dataselect.errors import InputError, did_you_mean

#: A row: its columns by name.
Row = dict[str, Any]

#: The name of one of a task's sources → its rows, in order.
ReadSource = Callable[[str], Iterable[Row]]

#: Rows that a task makes of its sources.
MakeRows = Callable[[ReadSource], Iterable[Row]]

#: Prompts and examples as published, a JSON file for each task that has some.
SHOTS = Path(__file__).parent / "shots"

#: What ends the name of a task whose outputs are programs ("program of thought").
BY_PROGRAM = "_pot"


@dataclass(frozen=True)
class Source:
    """A data set on a hub, or one of its files, or a file of a git repository.

    Attributes:
        name: of the data set, or a local folder of the same form; or a repository's address.
        config: of the data set.
        split: of the data set.
        file: read this file of the data set instead, or of the repository: JSON or JSON lines, or
            inside a zip as `eval.zip/eval/arena_hard.jsonl`; also packed as `.gz`. Of a `.tok`,
            each line is a row with the column `text`.
        obtain: how the user gets the data set, which no program may fetch; `name` is then the
            folder that they put it into, from the project's own.
    """

    name: str
    config: str | None = None
    split: str = "train"
    file: str | None = None
    obtain: str | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is known of a task.

    Attributes:
        sources: where its rows come from, by a name of our own.
        queries: makes the query set that the papers drew, in their order; None where there is none.
        tests: makes the tests; None for a query set alone.
        kind: how an output is scored: a file of `eval_kinds/`; None without tests.
        shots: how many solved examples a test's prompt shows.
        published: how many queries and tests the paper had, to compare with; 0: none, or not known.
        training: makes the rows of a pool of the task's own; None where there is none.
        settings: what params.yaml must say for the task to be scored: block → key → value.
        brought: what the user must bring besides, in words; empty: nothing.
    """

    sources: dict[str, Source]
    queries: MakeRows | None
    tests: MakeRows | None
    kind: str | None
    shots: int = 0
    published: tuple[int, int]
    training: MakeRows | None = None
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    brought: str = ""


def task_names() -> list[str]:
    """The names of all tasks, in alphabetical order."""
    others = ("run", "sources")
    paths = Path(__file__).parent.glob("[!_]*.py")
    files = [path.stem for path in paths if path.stem not in others]
    names = [name for file in files for name in (file, file + BY_PROGRAM)]
    return sorted(name for name in names if hasattr(_module(name), name))


def _module(name: str) -> ModuleType:
    """The module that has the task `name`."""
    return importlib.import_module(f"dataselect.tasks.{name.removesuffix(BY_PROGRAM)}")


def load_task(name: str, where: str) -> Task:
    """A task by its name.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: there is no such task.
    """
    if name not in task_names():
        hint = did_you_mean(name, task_names())
        raise InputError(f"{where}: no task is called `{name}`. {hint}")
    return getattr(_module(name), name)()


def needed_by(tasks: dict[str, Task]) -> dict[str, list[str]]:
    """What tasks need to be scored, in words → the names of the tasks that need it."""
    found: dict[str, list[str]] = {}
    for name, task in tasks.items():
        settings = [
            f"{block}.{key}: {json.dumps(value)}"
            for block, values in task.settings.items()
            for key, value in values.items()
        ]
        for need in [*settings, *([task.brought] if task.brought else [])]:
            found.setdefault(need, []).append(name)
    return found


def published_shots(name: str) -> Any:
    """What a JSON file of `shots/` holds."""
    return json.loads((SHOTS / f"{name}.json").read_text(encoding="utf-8"))


def user(text: str) -> list[Row]:
    """A conversation of a single user turn."""
    return [{"role": "user", "content": text}]


def dialogue(prompt: str, response: str) -> list[Row]:
    """A conversation of a user turn and its response."""
    return [*user(prompt), {"role": "assistant", "content": response}]


def passage_cluster(passage: str) -> str:
    """The cluster of the tests on a passage: a hash of its text."""
    return hashlib.blake2b(passage.encode(), digest_size=8).hexdigest()


def as_shuffled(rows: Iterable[Row], limit: int | None = None) -> list[Row]:
    """Rows in the order that `datasets.Dataset.shuffle(seed=42)` gives them, as the papers' code.

    Args:
        limit: only the first of them.
    """
    import numpy as np

    listed = list(rows)
    order = np.random.default_rng(42).permutation(len(listed))[:limit]
    return [listed[i] for i in order]
