"""How many rows round-robin has chosen when a row's turn comes, without choosing them.

In the first rounds every group has offered its best rows, as many as it has had turns. What is
chosen by then is the union of those, which takes one more pass over the scores to count, exactly:
in memory where the first pass has kept them.
"""

from __future__ import annotations

from math import floor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataselect.ask.score_blocks import BLOCK_NUMBERS, fold, in_threads
from dataselect.ask.standing import SAMPLED, Standing
from dataselect.data.scores import Block, SingleGroup

LOWEST = np.finfo(np.float32).min  # of all candidates


def first_turn(standing: Standing) -> tuple[int, int]:
    """The turn in which a row is offered first, from 0, and the group that offers it."""
    groups = len(standing.scores)
    turns = standing.before * groups + np.arange(groups)
    turns[standing.scores == -np.inf] = np.iinfo(np.int64).max
    group = int(turns.argmin())
    return int(turns[group]), group


def chosen_by_turn(path: Path, standing: Standing, turn: int) -> int:
    """The rows that round-robin has chosen at the end of a turn (from 0), without quotas.

    Args:
        path: a scores table.
        standing: of any row.
    """
    groups = len(standing.scores)
    depths = np.maximum(0, (turn - np.arange(groups)) // groups + 1)
    if standing.sizes is not None:  # no row is offered twice
        return int(np.minimum(depths, standing.sizes).sum())
    if groups == 1:
        return int(depths[0])  # the row itself is offered in this turn
    slack = 4.0
    while True:
        low, high = _brackets(standing.sample, depths, slack)
        counted = _Union(depths, low, high).count(path, standing.kept)
        if counted is not None:
            return counted
        slack *= 8


def _brackets(
    sample: np.ndarray, depths: np.ndarray, slack: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two scores for every group (float32, g) between which its last offered row should lie."""
    low, high = np.empty((2, len(depths)), dtype=np.float32)
    for group, depth in enumerate(depths.tolist()):
        if depth == 0:
            low[group] = high[group] = np.inf  # nothing is offered
            continue
        column, size = sample[:, group], len(sample)
        place = depth / SAMPLED
        width = slack * (place**0.5 + 4)
        above, below = floor(place - width), int(place + width) + 1  # places from the best
        high[group] = _at(column, size - 1 - above) if above >= 0 else np.inf
        low[group] = max(_at(column, size - 1 - below), LOWEST) if below < size else LOWEST
    return low, high


def _at(column: np.ndarray, place: int) -> np.float32:
    """The number at a place from the lowest."""
    return np.partition(column, place)[place]


class _Near(NamedTuple):
    """A block's part: rows certainly offered and not kept, counts above, and what is kept.

    Attributes:
        above: scores above `high` in every group: int64, g.
        scores: of the rows that are kept: float32, g k.
        offered: which of them certainly are: bool, k.
    """

    certain: int
    above: np.ndarray
    scores: np.ndarray
    offered: np.ndarray


class _Union:
    """The rows that are among the best of any group, so many of each."""

    def __init__(self, depths: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        self.depths, self.low, self.high = depths, low, high

    def count(self, path: Path, kept: np.ndarray | None) -> int | None:
        """Their number; None where a group's last row is not between its two scores.

        Args:
            path: a scores table; it is read again where nothing is kept.
            kept: its scores by groups: float32, g n.
        """
        if kept is None:
            parts = fold(path, lambda _, block: self._near(_columns(block)))
        else:
            step = max(1, BLOCK_NUMBERS // len(kept))
            spans = [kept[:, first : first + step] for first in range(0, kept.shape[1], step)]
            parts = in_threads(self._near, spans)
        scores = np.concatenate([part.scores for part in parts], axis=1)
        offered = np.concatenate([part.offered for part in parts])
        above = np.sum([part.above for part in parts], axis=0)
        for group, depth in enumerate(self.depths.tolist()):
            missing = depth - int(above[group])
            column = scores[group]
            near = np.flatnonzero((column >= self.low[group]) & (column <= self.high[group]))
            if missing < 0 or (missing > len(near) and self.low[group] > LOWEST):
                return None
            best = near[np.argsort(-column[near], kind="stable")][:missing]
            offered[best] = True
        return sum(part.certain for part in parts) + int(np.count_nonzero(offered))

    def _near(self, columns: np.ndarray) -> _Near:
        """What some rows add, from their scores by groups: float32, g b."""
        above: np.ndarray = columns > self.high[:, None]
        offered = np.asarray(above.any(axis=0))
        kept = np.asarray(((columns >= self.low[:, None]) & ~above).any(axis=0))
        certain = int(np.count_nonzero(offered & ~kept))
        counts = np.asarray([np.count_nonzero(column) for column in above])
        return _Near(certain, counts, columns[:, kept], offered[kept])


def _columns(block: Block) -> np.ndarray:
    assert not isinstance(block, SingleGroup)
    return np.ascontiguousarray(block.T)  # whole columns are compared at a time
