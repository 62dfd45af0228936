"""A random sample of the raw pool, for the estimate: read once, without writing a table."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from dataselect import report
from dataselect.compute.prefetch import batched
from dataselect.data import tables
from dataselect.data.examples import conversations
from dataselect.data.files import resolve
from dataselect.data.schemas import TOOL_USE
from dataselect.dedup import tasks
from dataselect.dedup.columns import read_pool_rows
from dataselect.dedup.filter import RowFilter
from dataselect.dedup.pool_rows import NamedRow, PoolRow, name_rows, parse_row
from dataselect.dedup.raw import ROWS_PER_BLOCK
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.sources import SourceNames
from dataselect.dedup.truncation import find_truncated
from dataselect.errors import InputError
from dataselect.models.settings import TokenizerSettings
from dataselect.plan.run import Plan


def sample_pool(
    files: list[str], limit: int, progress: Callable[[int], None], rules: PoolRules
) -> tuple[int, list[list[Any]]]:
    """The number of rows in the files, and a uniform random sample of the usable ones.

    Args:
        limit: rows in the sample, at most.
        progress: called with 1 for every row read.
        rules: how rows are read; those that it leaves out are not counted.

    Returns:
        The number of rows, and the sample in the columns of the pool's table. A row that cannot be
        understood, or has nothing to learn from, is not in it.
    """
    draw = random.Random(0)
    rules = replace(rules, on_bad_row="drop")
    kept: list[PoolRow | None] = []
    rows = 0
    for named in _wanted_rows(files, rules, progress):
        # Reservoir sampling over all rows, usable or not: only a row that takes a place is parsed.
        place = rows if rows < limit else draw.randrange(rows + 1)
        rows += 1
        if place < limit:
            row = parse_row(named, rules)
            kept[place : place + 1] = [row if row.reason is None else None]
    usable = [row for row in kept if row is not None]
    # A place, not an id: several rows of a sample may have one id.
    return rows, [
        [number, row.place, row.source, row.messages, row.tool_use]
        for number, row in enumerate(usable)
    ]


def _wanted_rows(
    files: list[str], rules: PoolRules, progress: Callable[[int], None]
) -> Iterator[NamedRow]:
    """The rows of wanted sources that meet the condition, and those that cannot be read."""
    sources, meets_condition = SourceNames(rules.sources), RowFilter(rules.where)
    rows = read_pool_rows(files, rules.columns, meets_condition.columns)
    for block in batched(rows, ROWS_PER_BLOCK):
        for row in name_rows(block, rules, sources, meets_condition):
            progress(1)
            if row.reason is None:
                yield row


def write_sample(sections: Plan, home: Path, limit: int) -> tuple[int, int]:
    """Writes the tables of a sample of the raw pool, and of all queries.

    Args:
        home: the folder for `pool.parquet` and `queries.parquet`.
        limit: rows in the sample, at most.

    Returns:
        The rows of the pool, and those of the sample.

    Raises:
        InputError: a file cannot be read, or no sampled row can be understood.
    """
    pool = [resolve(file.path) for file in sections.dedup.pool]
    with report.progress("rows read", None) as progress:
        rows, sample = sample_pool(pool, limit, progress, sections.dedup.rules)
    frame = _sample_table(sample, sections.dedup.model)
    tables.write("pool", frame, home / "pool.parquet")
    tables.write("queries", _read_queries(sections), home / "queries.parquet")
    return rows, frame.height


def read_tasks(sections: Plan) -> None:
    """Reads the queries and tests of a plan, to see that its tasks are there.

    Raises:
        InputError: a row cannot be understood, or a task has no queries or no tests.
    """
    _read_queries(sections)
    tasks.read_tests([resolve(file.path) for file in sections.dedup.tests], sections.dedup.tasks)


def _read_queries(sections: Plan) -> pl.DataFrame:
    paths = [resolve(file.path) for file in sections.dedup.queries]
    return tasks.read_queries(paths, sections.dedup.query_tasks)


def _sample_table(sample: list[list[Any]], model: TokenizerSettings) -> pl.DataFrame:
    """The sample as a table of the pool, without the rows that the chat format cannot write."""
    frame = pl.DataFrame(sample, schema=tables.schema("pool") | TOOL_USE, orient="row")
    reasons = find_truncated(model, keep=True)(conversations(frame))
    usable = frame.filter([not reason for reason in reasons])
    if usable.is_empty():
        raise InputError("pool.path: no row can be understood. Look at the files' rows.")
    return usable.with_columns(row=pl.int_range(usable.height, dtype=pl.Int64))
