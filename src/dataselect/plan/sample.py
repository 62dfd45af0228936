"""A random sample of the raw pool, for the estimate: read once, without writing a table."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from dataselect.compute.prefetch import batched
from dataselect.dedup import conversations, read
from dataselect.dedup.filter import RowFilter
from dataselect.dedup.raw import ROWS_PER_BLOCK


def sample_pool(
    files: list[str], limit: int, progress: Callable[[int], None], where: str | None = None
) -> tuple[int, list[list[Any]]]:
    """The number of rows in the files, and a uniform random sample of the usable ones.

    Args:
        limit: rows in the sample, at most.
        progress: called with 1 for every row read.
        where: the condition that rows must meet to be counted.

    Returns:
        The number of rows, and the sample in the columns of the pool's table. A row that cannot be
        understood, or has nothing to learn from, is not in it.
    """
    draw = random.Random(0)
    kept: list[list[Any] | None] = []
    rows = 0
    for raw in _rows(files, where, progress):
        # Reservoir sampling over all rows, usable or not: only a row that takes a place is parsed.
        place = rows if rows < limit else draw.randrange(rows + 1)
        rows += 1
        if place < limit:
            kept[place : place + 1] = [_usable(raw)]
    usable = [row for row in kept if row is not None]
    return rows, [[number, *row] for number, row in enumerate(usable)]


def _rows(
    files: list[str], where: str | None, progress: Callable[[int], None]
) -> Iterator[read.RawRow]:
    """The rows that meet the condition, and those that cannot be read."""
    meets_condition = RowFilter(where)
    for block in batched(read.read_rows(files, meets_condition.columns), ROWS_PER_BLOCK):
        for raw, wanted in zip(block, meets_condition(block), strict=True):
            progress(1)
            if wanted:
                yield raw


def _usable(raw: read.RawRow) -> list[Any] | None:
    """Id, source and messages of a row; None for one that the pool would not keep."""
    if isinstance(raw.record, conversations.BadRow):
        return None
    try:
        turns = conversations.parse_messages(raw.record)
    except conversations.BadRow:
        return None
    if conversations.reason_to_drop(turns) is not None:
        return None
    source = conversations.text_field(raw.record, "source", "dataset") or raw.stem
    return [raw.place, source, turns]
