"""The dedup stage: raw files → the tables of the pool, the queries, the tests and the dropped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from dataselect.data import files, tables
from dataselect.data.fingerprint import File
from dataselect.dedup.long_prompts import PromptLimits, check_prompts
from dataselect.dedup.pool import write_pool
from dataselect.dedup.tasks import queries_in_tests, read_queries, read_tests, task_counts
from dataselect.dedup.truncation import find_truncated
from dataselect.eval.task_kinds import task_kinds
from dataselect.models.settings import TokenizerSettings
from dataselect.report import Progress


@dataclass(frozen=True)
class DedupSection:
    """The plan's section `dedup`.

    Attributes:
        pool: the raw files of the pool.
        on_bad_row: what to do with a row of the pool that cannot be understood.
        cut_off: what to do with a row of whose first response `max_tokens` leaves nothing.
        queries: the raw files of the queries; none where the method uses none.
        tests: the raw files of the tests; none where nothing is to be scored.
        tasks: the tasks whose tests are taken.
        query_tasks: the tasks whose queries are taken.
        kinds: task → how its answers are compared, where the user says so.
        model: the tokenizer of the model to be trained.
        code: the hash of the code that decides the tables.
        prompts: what the tests' prompts must fit into; None where eval cuts off what does not fit.
    """

    pool: list[File]
    on_bad_row: Literal["error", "drop"]
    cut_off: Literal["drop", "keep"]
    queries: list[File]
    tests: list[File]
    tasks: Literal["all"] | list[str]
    query_tasks: Literal["all"] | list[str]
    kinds: dict[str, str]
    model: TokenizerSettings
    code: str
    prompts: PromptLimits | None = None


@dataclass(frozen=True)
class Deduped:
    """What the stage did.

    Attributes:
        read: rows of the pool's files.
        kept: rows of the pool.
        dropped: reason → rows.
        tasks: every task with its numbers of queries and tests; their sums at the end.
        queries_in_tests: task and id of the queries that also stand among the tests.
    """

    read: int
    kept: int
    dropped: dict[str, int]
    tasks: list[tuple[str, int, int]]
    queries_in_tests: list[tuple[str, str]]


def dedup(section: DedupSection, out: Path, progress: Progress) -> Deduped:
    """Writes `pool.parquet`, `dropped.parquet`, `queries.parquet` and `tests.parquet`.

    Args:
        out: the folder of the tables.
        progress: called as rows of the pool are read.

    Raises:
        InputError: a file or a row that cannot be understood, an id that is not unique, a task
            without queries or tests, an unknown kind, a prompt that does not fit, or no row of
            the pool is left.
    """
    queries = read_queries(_paths(section.queries), section.query_tasks)
    tests = read_tests(_paths(section.tests), section.tasks)
    # What eval would refuse is refused here, before the pool is read and anything costs.
    kinds = task_kinds(tests, section.kinds)
    tests = tests.with_columns(kind=pl.col("task").replace_strict(kinds, return_dtype=pl.String))
    if section.prompts:
        check_prompts(tests, section.model, section.prompts)
    counts = write_pool(
        _paths(section.pool),
        out,
        on_bad_row=section.on_bad_row,
        truncation=find_truncated(section.model, keep=section.cut_off == "keep"),
        progress=progress,
    )
    tables.write("queries", queries, out / "queries.parquet")
    tables.write("tests", tests, out / "tests.parquet")
    return Deduped(
        counts.read,
        counts.kept,
        counts.dropped,
        task_counts(queries, tests),
        queries_in_tests(queries, tests),
    )


def _paths(given: list[File]) -> list[str]:
    return [files.resolve(file.path) for file in given]
