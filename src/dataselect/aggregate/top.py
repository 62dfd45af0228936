"""The highest scores of all."""

from __future__ import annotations

import numpy as np

from dataselect.aggregate import Matrix, Picks
from dataselect.data.scores import Block, Group, SingleGroup
from dataselect.data.topk import top_k


def top(matrix: Matrix, groups: list[Group], n: int) -> Picks:
    """The n rows whose best score over all groups is highest; of equals, the first group's."""
    (ranked,) = top_k((_best_of(block) for block in matrix()), 1, n)
    chosen = np.zeros(len(ranked.rows), dtype=np.int64)
    if len(groups) > 1:
        _find_groups(matrix, ranked.rows, chosen)
    return Picks(ranked.rows, chosen, ranked.scores)


def _best_of(block: Block) -> np.ndarray:
    scores = block.score if isinstance(block, SingleGroup) else block.max(axis=1)
    return scores[:, None]


def _find_groups(matrix: Matrix, rows: np.ndarray, chosen: np.ndarray) -> None:
    first = 0
    for block in matrix():
        of = block.group if isinstance(block, SingleGroup) else block.argmax(axis=1)
        here = np.flatnonzero((rows >= first) & (rows < first + len(of)))
        chosen[here] = of[rows[here] - first]
        first += len(of)
