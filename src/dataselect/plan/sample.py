"""A random sample of the raw pool, for the estimate: read once, without writing a table."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

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
    kept: list[tuple[str, str, list[dict[str, str]]]] = []
    rows = usable = 0
    for raw in read.read_rows(files):
        rows += 1
        progress(1)
        # Reservoir sampling: the next usable row takes a random place, or none.
        place = len(kept) if len(kept) < limit else draw.randrange(usable + 1)
        if place >= limit:
            usable += 1
            continue
        try:
            if isinstance(raw.record, conversations.BadRow):
                continue
            turns = conversations.parse_messages(raw.record)
        except conversations.BadRow:
            continue
        if conversations.reason_to_drop(turns) is None:
            usable += 1
            source = conversations.text_field(raw.record, "source", "dataset") or raw.stem
            kept[place : place + 1] = [(raw.place, source, turns)]
    return rows, [[number, *row] for number, row in enumerate(kept)]
