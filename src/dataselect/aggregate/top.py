"""The highest scores of all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataselect.aggregate import Picks, Quotas, ReadBlocks
from dataselect.aggregate._best_groups import best_groups
from dataselect.aggregate._choose import choose
from dataselect.data.scores import Group, SingleGroup
from dataselect.data.topk import top_k


def top(
    read_blocks: ReadBlocks, groups: list[Group], n: int, quotas: Quotas | None = None
) -> Picks:
    """Chooses the n rows whose best score over all groups is highest; of equals, the first group's.

    Fewer than n rows come back where there are fewer candidates. With quotas, a row of a source
    that can get no more is passed over.
    """
    if quotas is None:
        (ranked,) = top_k(_best_scores(read_blocks), 1, n)
    else:
        ranked = choose(lambda: _best_scores(read_blocks), 1, quotas)
    if len(groups) == 1:
        return Picks(ranked.rows, np.zeros(len(ranked.rows), dtype=np.int64), ranked.scores)
    return Picks(ranked.rows, best_groups(read_blocks, ranked.rows), ranked.scores)


def _best_scores(read_blocks: ReadBlocks) -> Iterator[np.ndarray]:
    """Each row's best score, as a single column: blocks (b 1)."""
    for block in read_blocks():
        scores = block.score if isinstance(block, SingleGroup) else block.max(axis=1)
        yield scores[:, None]
