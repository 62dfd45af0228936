"""A random sample of the raw pool, for the estimate: read once, without writing a table."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dataselect.compute.prefetch import batched
from dataselect.dedup.columns import read_pool_rows
from dataselect.dedup.filter import RowFilter
from dataselect.dedup.raw import ROWS_PER_BLOCK, NamedRow, PoolRow, name_rows, parse_row
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
