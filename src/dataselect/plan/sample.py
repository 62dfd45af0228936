"""A random sample of the raw pool, for the estimate: read once, without writing a table."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dataselect.compute.prefetch import batched
from dataselect.dedup.columns import read_pool_rows
from dataselect.dedup.filter import RowFilter
from dataselect.dedup.raw import ROWS_PER_BLOCK, SOURCE_LEFT_OUT, PoolRow, parse_row
from dataselect.dedup.read import RawRow
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.sources import SourceNames


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
    draw, sources = random.Random(0), SourceNames(rules.sources)
    rules = replace(rules, on_bad_row="drop")
    kept: list[PoolRow | None] = []
    rows = 0
    for raw in _rows(files, rules, progress):
        # Reservoir sampling over all rows, usable or not: only a row that takes a place is parsed,
        # and where some sources are left out, every row.
        row = parse_row(raw, rules, sources) if rules.sources else None
        if row and row.reason == SOURCE_LEFT_OUT:
            continue
        place = rows if rows < limit else draw.randrange(rows + 1)
        rows += 1
        if place < limit:
            row = row or parse_row(raw, rules, sources)
            kept[place : place + 1] = [row if row.reason is None else None]
    usable = [row for row in kept if row is not None]
    # A place, not an id: several rows of a sample may have one id.
    return rows, [
        [number, row.place, row.source, row.messages, row.tool_use]
        for number, row in enumerate(usable)
    ]


def _rows(files: list[str], rules: PoolRules, progress: Callable[[int], None]) -> Iterator[RawRow]:
    """The rows that meet the condition, and those that cannot be read."""
    meets_condition = RowFilter(rules.where)
    rows = read_pool_rows(files, rules.columns, meets_condition.columns)
    for block in batched(rows, ROWS_PER_BLOCK):
        for raw, wanted in zip(block, meets_condition(block), strict=True):
            progress(1)
            if wanted:
                yield raw
