"""The group in which each chosen row is best."""

from __future__ import annotations

import numpy as np

from dataselect.aggregate import ReadBlocks
from dataselect.data.scores import SingleGroup


def best_groups(read_blocks: ReadBlocks, rows: np.ndarray) -> np.ndarray:
    """The number of the group with the highest score of each row: int64; of equals, the first.

    Args:
        rows: row numbers (int64), in any order.
    """
    groups = np.zeros(len(rows), dtype=np.int64)
    first = 0
    for block in read_blocks():
        best = block.group if isinstance(block, SingleGroup) else block.argmax(axis=1)
        ranks = np.flatnonzero((rows >= first) & (rows < first + len(best)))
        groups[ranks] = best[rows[ranks] - first]
        first += len(best)
    return groups
