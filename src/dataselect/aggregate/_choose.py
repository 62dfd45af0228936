"""Choice within quotas: ranks as many rows of every group and class as the walk needs."""

from __future__ import annotations

import numpy as np

from dataselect.aggregate import Picks, Quotas, ReadBlocks
from dataselect.aggregate._walk import RankedRows, Walk
from dataselect.data.topk import TopK, top_k_by_class

#: A typical row's tokens, to begin with.
TYPICAL_TOKENS = 256


def choose(
    read_blocks: ReadBlocks, groups: int, quotas: Quotas, weights: np.ndarray | None = None
) -> Picks:
    """Chooses rows by turns of the groups, within quotas.

    A group's k-th turn comes at the time k / weight; of equal times, the first group's is first.
    Ranks only some rows of every group and class; more where that turns out too few.

    Args:
        weights: the turns of every group for one of a group of weight 1 (float64, g); None: all 1.

    Raises:
        InputError: there are too few candidates for the quotas or for a budget in tokens.
    """
    weights = np.ones(groups) if weights is None else weights
    bounds = _bounds(quotas)
    wanted = {number: _first_depth(quotas, k, groups) for number, k in bounds.items() if k}
    depths: dict[int, int] = {}
    ranked: dict[int, list[TopK]] = {}
    while True:
        depths |= wanted
        ranked |= top_k_by_class(read_blocks(), groups, quotas.classes, wanted)
        lists = [_merge(ranked, depths, bounds, group) for group in range(groups)]
        walk = Walk(lists, quotas, weights.tolist())
        short = walk.run()
        if not short:
            return walk.picks()
        factor = walk.growth()
        wanted = {number: min(bounds[number], factor * depths[number]) for number in short}


def _bounds(quotas: Quotas) -> dict[int, int]:
    """Class → the number of its rows that are enough of every group.

    Every row of a class that is not closed, and that a group has offered, is chosen.
    """
    bounds = np.bincount(quotas.classes, minlength=len(quotas.names)).tolist()
    if quotas.tokens is None:
        others = sum(quotas.at_least)
        for number, least in enumerate(quotas.at_least):
            left = min(quotas.at_most[number], quotas.total - others + least)
            bounds[number] = min(bounds[number], left)
    return dict(enumerate(bounds))


def _first_depth(quotas: Quotas, bound: int, groups: int) -> int:
    """How many rows of a class are ranked for every group: usually enough."""
    rows = bound if quotas.tokens is None else min(bound, quotas.total // TYPICAL_TOKENS + 1_024)
    return min(bound, -(-4 * rows // groups))


def _merge(
    ranked: dict[int, list[TopK]], depths: dict[int, int], bounds: dict[int, int], group: int
) -> RankedRows:
    tops = {number: groups[group] for number, groups in ranked.items()}
    rows = np.concatenate([np.empty(0, np.int64), *(top.rows for top in tops.values())])
    scores = np.concatenate([np.empty(0, np.float32), *(top.scores for top in tops.values())])
    classes = np.repeat(list(tops), [len(top.rows) for top in tops.values()])
    order = np.lexsort((rows, -scores))
    rows, scores, classes = rows[order], scores[order], classes[order]
    ends = {
        number: int(np.flatnonzero(classes == number)[-1]) + 1
        for number, top in tops.items()
        if len(top.rows) == depths[number] < bounds[number]
    }
    return RankedRows(rows.tolist(), classes.tolist(), scores, ends)
