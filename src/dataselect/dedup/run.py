"""The dedup stage: raw files → the tables of the pool, the queries, the tests and the dropped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from dataselect import report
from dataselect.data import files, tables
from dataselect.data.contamination import TaskOverlap, pool_overlaps
from dataselect.data.fingerprint import File, check_planned_files
from dataselect.dedup.contamination import queries_among_tests
from dataselect.dedup.long_prompts import PromptLimits, check_prompts
from dataselect.dedup.pool import NearDuplicateCounts
from dataselect.dedup.settings import DecontaminateSettings, NearDuplicateSettings, PoolRules
from dataselect.dedup.statistics import PoolStatistics, measure_pool
from dataselect.dedup.steps import write_pool
from dataselect.dedup.tasks import read_queries, read_tests, task_counts
from dataselect.dedup.truncation import find_truncated
from dataselect.eval.task_kinds import task_kinds
from dataselect.models.settings import TokenizerSettings
from dataselect.report import Progress


@dataclass(frozen=True)
class DedupSection:
    """The plan's section `dedup`.

    Attributes:
        pool: the raw files of the pool.
        rules: how the pool's rows are read, and which are left out.
        queries: the raw files of the queries; none where the method uses none.
        tests: the raw files of the tests; none where nothing is to be scored.
        tasks: the tasks whose tests are taken.
        query_tasks: the tasks whose queries are taken.
        kinds: task → how its answers are compared, where the user says so.
        model: the tokenizer of the model to be trained.
        code: the hash of the code that decides the tables.
        prompts: what the tests' prompts must fit into; None where eval cuts off what does not fit.
        near_duplicates: which rows are near-duplicates; None: none is looked for.
        decontaminate: which rows overlap tests; None: none is looked for.
        source_order: the entries of `rules.sources` in their order, which decides which of them
            counts: DVC compares settings by name only, and would not see another order.
        run_code: whether tests may run programs that a model has generated.
    """

    pool: list[File]
    rules: PoolRules
    queries: list[File]
    tests: list[File]
    tasks: Literal["all"] | list[str]
    query_tasks: Literal["all"] | list[str]
    kinds: dict[str, str]
    model: TokenizerSettings
    code: str
    prompts: PromptLimits | None = None
    near_duplicates: NearDuplicateSettings | None = None
    decontaminate: DecontaminateSettings | None = None
    source_order: list[str] = field(default_factory=list)
    run_code: bool = False


@dataclass(frozen=True)
class Deduped:
    """What the stage did.

    Attributes:
        read: rows of the pool's files.
        kept: rows of the pool.
        dropped: reason → rows.
        tasks: every task with its numbers of queries and tests; their sums at the end.
        queries_in_tests: task and id of the queries that also stand among the tests.
        turns: what is unusual in the order of turns → kept rows; see `pool.PoolCounts`.
        near_duplicates: how many there are; None where none was looked for.
        statistics: what is in the pool.
        overlaps: every task with its tests that rows overlap; empty where none is looked for.
    """

    read: int
    kept: int
    dropped: dict[str, int]
    tasks: list[tuple[str, int, int]]
    queries_in_tests: list[tuple[str, str]]
    turns: dict[str, int]
    near_duplicates: NearDuplicateCounts | None
    statistics: PoolStatistics
    overlaps: list[TaskOverlap]


def dedup(section: DedupSection, out: Path, progress: Progress) -> Deduped:
    """Writes the tables of the pool, the dropped, the contamination, the queries and the tests.

    Args:
        out: the folder of the tables.
        progress: called as rows of the pool are read.

    Raises:
        InputError: a file or a row that cannot be understood, an id that is not unique, a task
            without queries or tests, an unknown kind, a prompt that does not fit, no row of the
            pool is left, or a file has changed since it was planned.
    """
    queries = read_queries(_paths(section.queries), section.query_tasks)
    tests = read_tests(_paths(section.tests), section.tasks)
    # What eval would refuse is refused here, before the pool is read and anything costs.
    kinds = task_kinds(tests, section.kinds, section.run_code)
    tests = tests.with_columns(kind=pl.col("task").replace_strict(kinds, return_dtype=pl.String))
    if section.prompts:
        check_prompts(tests, section.model, section.prompts)
    counts = write_pool(
        _paths(section.pool),
        out,
        rules=section.rules,
        truncation=find_truncated(section.model, keep=section.rules.cut_off == "keep"),
        progress=progress,
        tests=tests,
        decontaminate=section.decontaminate,
        near_duplicates=section.near_duplicates,
    )
    check_planned_files([*section.pool, *section.queries, *section.tests])
    tables.write("queries", queries, out / "queries.parquet")
    tables.write("tests", tests, out / "tests.parquet")
    with report.spinner("counting tokens"):
        statistics = measure_pool(
            out / "pool.parquet", section.model, languages=section.rules.languages
        )
    return Deduped(
        counts.read,
        counts.kept,
        counts.dropped,
        task_counts(queries, tests),
        queries_among_tests(queries, tests, section.decontaminate),
        counts.turns,
        counts.near_duplicates,
        statistics,
        pool_overlaps(out) if section.decontaminate else [],
    )


def _paths(given: list[File]) -> list[str]:
    return [files.resolve(file.path) for file in given]
