"""Makes the files of a task: queries, tests, a pool, and what they were made of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from dataselect.data import files
from dataselect.dedup.contamination import queries_among_tests
from dataselect.dedup.settings import DecontaminateSettings
from dataselect.dedup.tasks import read_queries, read_tests
from dataselect.errors import InputError, did_you_mean
from dataselect.report import Progress
from dataselect.tasks import MakeRows, ReadSource, Row, Task, load_task, task_names
from dataselect.tasks.sources import SETTINGS, check_obtained, commit_of, read_source

#: The columns of a task's files, as docs/settings.md describes them.
SCHEMA = {
    "task": pl.String,
    "id": pl.String,
    "source": pl.String,
    "subtask": pl.String,
    "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
    "prefill": pl.String,
    "format": pl.String,
    "max_tokens": pl.Int64,
    "answer": pl.String,
    "answers": pl.List(pl.String),
    "choices": pl.List(pl.String),
    "kind": pl.String,
    "check": pl.String,
    "cluster": pl.String,
}


@dataclass(frozen=True)
class Made:
    """What was made of a task.

    Attributes:
        queries: their number.
        tests: likewise.
        pool: likewise; 0 where the task has no pool of its own.
        overlapping: ids of the queries whose question is also a test's, or that a test overlaps by
            the rule of `decontaminate`.
        commits: data set → the commit that its rows come from.
    """

    queries: int
    tests: int
    pool: int
    overlapping: list[str]
    commits: dict[str, str | None]


def check_revisions(revisions: Any) -> dict[str, str]:
    """The revisions that are wanted, by data set or repository.

    Args:
        revisions: the block `revisions` of remote/tasks/params.yaml; None: none are wanted.

    Raises:
        InputError: it is no such block, or names what is no task's source.
    """
    if revisions is not None and not isinstance(revisions, dict):
        raise InputError(
            f"{SETTINGS}: revisions: expected `NAME: COMMIT` for each; found {revisions!r:.60}."
        )
    tasks = [load_task(name, SETTINGS) for name in task_names()]
    known = sorted({source.name for task in tasks for source in task.sources.values()})
    for name, commit in (revisions or {}).items():
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f"{SETTINGS}: revisions: no task has rows from `{name}`. {hint}")
        if not isinstance(commit, str):
            raise InputError(
                f"{SETTINGS}: revisions.{name}: expected a commit, branch or tag as text; found "
                f"{commit!r:.60}. Put it in quotes, or leave the line out."
            )
    return dict(revisions or {})


def make_task(
    name: str, task: Task, folder: Path, revisions: dict[str, str], progress: Progress
) -> Made:
    """Writes `queries.parquet`, `tests.parquet`, `pool.parquet` and `source.json` into a folder.

    What a task has not, neither has the folder. What stood in it stays until all is made.

    Args:
        revisions: data set → the revision that is wanted; of others, the newest.
        progress: called with 1 for every row read.

    Raises:
        InputError: a source is not there, cannot be read, has another form, or gives no row.
    """
    for source in task.sources.values():
        check_obtained(source)
    names = dict.fromkeys(source.name for source in task.sources.values())
    commits = {source: revisions.get(source) or commit_of(source) for source in names}

    def read(key: str) -> Iterator[Row]:
        source = task.sources[key]
        for row in read_source(source, commits[source.name]):
            progress(1)
            yield row

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as temporary:
        new = Path(temporary)
        write = partial(_write, name, task, read, new)
        made = Made(
            queries=write(task.queries, "queries"),
            tests=write(task.tests, "tests"),
            pool=write(task.training, "pool"),
            overlapping=_overlapping(new) if task.queries and task.tests else [],
            commits=commits,
        )
        files.write_json(new / "source.json", commits)
        for path in new.iterdir():
            path.replace(folder / path.name)
    return made


def _overlapping(folder: Path) -> list[str]:
    """The ids of the queries that stand among the tests, or that a test overlaps."""
    queries = read_queries([str(folder / "queries.parquet")], "all")
    tests = read_tests([str(folder / "tests.parquet")], "all")
    return [name for _, name in queries_among_tests(queries, tests, DecontaminateSettings())]


def _write(
    name: str, task: Task, read: ReadSource, folder: Path, make: MakeRows | None, side: str
) -> int:
    """Writes the queries, the tests or the pool; returns their number."""
    if make is None:
        return 0
    constant: Row = {} if side == "pool" else {"task": name}
    if side == "tests":
        constant["kind"] = task.kind
    try:
        rows = [{**constant, **row} for row in make(read)]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"{name}: {side}: a row of its sources has another form than expected "
            f"({type(error).__name__}: {error}). Set the revision that the task was written for."
        ) from None
    if not rows:
        raise InputError(f"{name}: {side}: its sources have no row. Check the revision.")
    columns = [column for column in SCHEMA if any(column in row for row in rows)]
    frame = pl.DataFrame(
        {column: [row.get(column) for row in rows] for column in columns},
        schema={column: SCHEMA[column] for column in columns},
    )
    with files.atomic_write(folder / f"{side}.parquet") as temporary:
        frame.write_parquet(temporary)
    return frame.height
