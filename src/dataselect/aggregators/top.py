"""The highest scores of all."""

from __future__ import annotations

import numpy as np

from dataselect.aggregators import Matrix, Picks
from dataselect.ranking import best


def top(matrix: Matrix, groups: int, n: int) -> Picks:
    """The n rows whose best score over all groups is highest; of equals, the first group's."""
    (ranked,) = best((block.max(axis=1, keepdims=True) for block in matrix()), 1, n)
    chosen = np.zeros(len(ranked.rows), dtype=np.int64)
    if groups > 1:
        _find_groups(matrix, ranked.rows, chosen)
    return Picks(ranked.rows, chosen, ranked.scores)


def _find_groups(matrix: Matrix, rows: np.ndarray, chosen: np.ndarray) -> None:
    first = 0
    for block in matrix():
        here = np.flatnonzero((rows >= first) & (rows < first + len(block)))
        chosen[here] = block[rows[here] - first].argmax(axis=1)
        first += len(block)
