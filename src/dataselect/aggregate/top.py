"""The highest scores of all."""

from __future__ import annotations

import numpy as np

from dataselect.aggregate import Picks, ReadBlocks
from dataselect.data.scores import Block, Group, SingleGroup
from dataselect.data.topk import top_k


def top(read_blocks: ReadBlocks, groups: list[Group], n: int) -> Picks:
    """Chooses the n rows whose best score over all groups is highest; of equals, the first group's.

    Fewer than n rows come back where there are fewer candidates.
    """
    (ranked,) = top_k((_best_scores(block) for block in read_blocks()), 1, n)
    chosen_by = np.zeros(len(ranked.rows), dtype=np.int64)
    if len(groups) > 1:
        first = 0
        for block in read_blocks():
            best = block.group if isinstance(block, SingleGroup) else block.argmax(axis=1)
            ranks = np.flatnonzero((ranked.rows >= first) & (ranked.rows < first + len(best)))
            chosen_by[ranks] = best[ranked.rows[ranks] - first]
            first += len(best)
    return Picks(ranked.rows, chosen_by, ranked.scores)


def _best_scores(block: Block) -> np.ndarray:
    """Each row's best score, as a single column (b 1)."""
    scores = block.score if isinstance(block, SingleGroup) else block.max(axis=1)
    return scores[:, None]
