"""A random sample of the raw pool, for the estimate: read once, without writing a table."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from dataselect.data.tool_use import to_column
from dataselect.dedup import conversations, read


def sample_pool(
    files: list[str], limit: int, progress: Callable[[int], None]
) -> tuple[int, list[list[Any]]]:
    """The number of rows in the files, and a uniform random sample of the usable ones.

    Args:
        limit: rows in the sample, at most.
        progress: called with 1 for every row read.

    Returns:
        The number of rows, and the sample in the columns of the pool's table. A row that cannot be
        understood, or has nothing to learn from, is not in it.
    """
    draw = random.Random(0)
    kept: list[list[Any] | None] = []
    rows = 0
    for raw in read.read_rows(files):
        # Reservoir sampling over all rows, usable or not: only a row that takes a place is parsed.
        place = rows if rows < limit else draw.randrange(rows + 1)
        rows += 1
        progress(1)
        if place < limit:
            kept[place : place + 1] = [_usable(raw)]
    usable = [row for row in kept if row is not None]
    return rows, [[number, *row] for number, row in enumerate(usable)]


def _usable(raw: read.RawRow) -> list[Any] | None:
    """Id, source, messages and tool use of a row; None for one that the pool would not keep."""
    if isinstance(raw.record, conversations.BadRow):
        return None
    try:
        turns = conversations.parse_messages(raw.record)
    except conversations.BadRow:
        return None
    if conversations.reason_to_drop(turns) is not None:
        return None
    source = conversations.text_field(raw.record, "source", "dataset") or raw.stem
    return [raw.place, source, turns, to_column(turns)]
