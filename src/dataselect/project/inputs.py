"""The files that a user names for a new project: whether they can be read, and what is in them."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from dataselect.dedup.conversations import parse_messages
from dataselect.dedup.fields import BadRow
from dataselect.dedup.read import read_rows
from dataselect.dedup.tasks import read_queries, read_tests, task_counts
from dataselect.errors import InputError, first_few

#: How many rows of a pool are looked at.
ROWS_SEEN = 100


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the user gave on the command line; None or empty: not given.

    Attributes:
        pool, queries, tests: files or globs, relative to the working directory.
        model: a folder, relative to it, or a name on the hub.
        method: a name of methods.yaml.
        budget: rows, or a share such as "5%".
    """

    pool: list[str]
    queries: list[str]
    tests: list[str]
    model: str | None = None
    method: str | None = None
    budget: int | str | None = None


def check_inputs(inputs: Inputs) -> list[tuple[str, str]]:
    """Reads the first rows of the pool, and all queries and tests.

    Returns:
        What was found: option and text, for a table.

    Raises:
        InputError: a file is not there, of no known kind, or has no row that can be understood.
    """
    found = []
    if inputs.pool:
        paths = _files("--pool", inputs.pool)
        _check_pool(paths)
        found.append(("pool", f"{len(paths)} file{'s' if paths[1:] else ''}: {first_few(paths)}"))
    readers = {"queries": read_queries, "tests": read_tests}
    for name, read in readers.items():
        if patterns := getattr(inputs, name):
            table = read(_files(f"--{name}", patterns), "all")
            *tasks, _ = task_counts(table, table)
            listed = first_few(task for task, *_ in tasks)
            found.append((name, f"{table.height} of {len(tasks)} tasks: {listed}"))
    return found


def in_project(name: str, folder: Path) -> str:
    """A path of the working directory as params.yaml of a project has it.

    Relative where the file is in the project's folder, else absolute: DVC's experiments run in
    folders elsewhere.
    """
    path = Path(os.path.normpath(Path(name).absolute()))
    # The file itself is not resolved: a link of the user's stays one.
    real = path.parent.resolve() / path.name if path.parent.is_dir() else path
    return real.relative_to(folder).as_posix() if real.is_relative_to(folder) else str(path)


def _files(option: str, patterns: list[str]) -> list[str]:
    """The files that match, each once, in order."""
    matches: list[str] = []
    for pattern in patterns:
        names = (
            [pattern]
            if Path(pattern).is_file()
            else sorted(
                glob.glob(pattern, recursive=True)  # noqa: PTH207
            )
        )
        names = [name for name in names if Path(name).is_file()]
        if not names:
            wrong = "no file matches this" if glob.has_magic(pattern) else "there is no such file"
            if Path(pattern).is_dir():
                wrong = f"a folder; expected a file or a glob, like '{pattern.rstrip('/')}/*.jsonl'"
            raise InputError(
                f"{option}: `{pattern}`: {wrong} (looked from {Path.cwd()}). Name a file or a glob."
            )
        matches += names
    return list(dict.fromkeys(matches))


def _check_pool(paths: list[str]) -> None:
    """Refuses a pool of whose first rows none can be understood."""
    reasons = []
    for raw in islice(read_rows(paths), ROWS_SEEN):
        try:
            if isinstance(raw.record, BadRow):
                raise raw.record
            parse_messages(raw.record)
            return
        except BadRow as error:
            reasons.append(f"{raw.place}: {error}")
    if not reasons:
        raise InputError(f"--pool: no row in {first_few(paths)}. Expected at least one.")
    raise InputError(
        f"--pool: none of the first {len(reasons)} rows can be used. {reasons[0]}. Convert the "
        "file; or, where columns only have other names, leave out --pool, and set `pool.path` and "
        "`pool.columns` in params.yaml."
    )
