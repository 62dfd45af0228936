"""The highest scores of all."""

from __future__ import annotations

import numpy as np

from dataselect.aggregate import Picks, ReadBlocks
from dataselect.aggregate._best_groups import best_groups
from dataselect.data.scores import Block, Group, SingleGroup
from dataselect.data.topk import top_k


def top(read_blocks: ReadBlocks, groups: list[Group], n: int) -> Picks:
    """Chooses the n rows whose best score over all groups is highest; of equals, the first group's.

    Fewer than n rows come back where there are fewer candidates.
    """
    (ranked,) = top_k((_best_scores(block) for block in read_blocks()), 1, n)
    if len(groups) == 1:
        return Picks(ranked.rows, np.zeros(len(ranked.rows), dtype=np.int64), ranked.scores)
    return Picks(ranked.rows, best_groups(read_blocks, ranked.rows), ranked.scores)


def _best_scores(block: Block) -> np.ndarray:
    """Each row's best score, as a single column (b 1)."""
    scores = block.score if isinstance(block, SingleGroup) else block.max(axis=1)
    return scores[:, None]
