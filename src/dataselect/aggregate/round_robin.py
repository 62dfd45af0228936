"""Every group in turn takes its next best row."""

from __future__ import annotations

import numpy as np

from dataselect.aggregate import Picks, Quotas, ReadBlocks
from dataselect.aggregate._choose import choose
from dataselect.data.scores import Group
from dataselect.data.topk import TopK, top_k


def round_robin(
    read_blocks: ReadBlocks,
    groups: list[Group],
    n: int,
    quotas: Quotas | None = None,
    weights: np.ndarray | None = None,
) -> Picks:
    """In each round every group, in order, offers its best row that it has not offered yet.

    A row that is already chosen uses up the turn, as in the reference; so the selection is the
    order of first appearance when the ranked lists are read round by round. Only as much of the
    lists is ranked as that takes. Fewer than n rows come back where there are fewer candidates.

    With quotas, a group passes over the rows of sources that can get no more, and offers its next
    row in the same turn. A group of weight w has w turns for each turn of a group of weight 1.

    Source: `get_top_influences` of hamishivi/automated-instruction-selection@df71a04, which
    removes duplicates in quadratic time.
    """
    if quotas is not None:
        return choose(read_blocks, len(groups), quotas, weights)
    k = min(n, -(-4 * n // len(groups)))  # usually enough, although groups offer the same rows
    while True:
        ranked = top_k(read_blocks(), len(groups), k)
        picks = _read_rounds(ranked, k, n)
        if len(picks.rows) == n or all(len(group.rows) < k for group in ranked):
            return picks
        k *= 2


def _read_rounds(ranked: list[TopK], k: int, n: int) -> Picks:
    """The first n first appearances in k complete rounds."""
    rows = np.full((k, len(ranked)), -1, dtype=np.int64)  # round, group
    for group, top in enumerate(ranked):
        rows[: len(top.rows), group] = top.rows
    offered = rows.ravel()
    turns = np.flatnonzero(offered >= 0)
    _, first = np.unique(offered[turns], return_index=True)
    chosen = np.sort(first)[:n]
    used_up = np.delete(turns[: chosen[-1] + 1], chosen) if len(chosen) else turns
    turns = turns[chosen]
    rounds, groups = np.divmod(turns, len(ranked))
    scores = np.zeros(len(turns), dtype=np.float32)
    for group, top in enumerate(ranked):
        of_group = groups == group
        scores[of_group] = top.scores[rounds[of_group]]
    counts = np.bincount(used_up % len(ranked), minlength=len(ranked))
    return Picks(offered[turns], groups, scores, counts)
