"""The best k rows of every group, exactly, from a score matrix that streams by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dataselect.data.scores import Block, SingleGroup, row_count

#: About this many rows are enough to estimate where a group's best scores begin.
SAMPLED_ROWS = 4_096


class TopK(NamedTuple):
    """One group's best rows: row numbers (int64, k) and scores (float32, k), best first."""

    rows: np.ndarray
    scores: np.ndarray


def top_k(blocks: Iterable[Block], groups: int, k: int) -> list[TopK]:
    """The k best candidates of every group, or all where there are fewer.

    Higher is better; equal scores rank by row number; −∞ is no candidate. Holds some 2k + b scores
    per group.

    Args:
        blocks: S in blocks of consecutive rows.
    """
    ranking = _Ranking(groups, k)
    first = 0
    for block in blocks:
        rows = np.arange(first, first + row_count(block))
        ranking.add(block, rows)
        first += len(rows)
    return ranking.ranked()


def top_k_by_class(
    blocks: Iterable[Block], groups: int, classes: np.ndarray, depths: dict[int, int]
) -> dict[int, list[TopK]]:
    """The best candidates of every group among the rows of each class, in one pass.

    Args:
        blocks: S in blocks of consecutive rows.
        classes: the class of every row: n, whole numbers.
        depths: class → how many; rows of other classes are left out.
    """
    rankings = {number: _Ranking(groups, k) for number, k in depths.items()}
    first = 0
    for block in blocks:
        members = classes[first : first + row_count(block)]
        for number, ranking in rankings.items():
            positions = np.flatnonzero(members == number)
            if len(positions) == len(members):
                ranking.add(block, positions + first)
            elif len(positions):
                ranking.add(_block_rows(block, positions), positions + first)
        first += len(members)
    return {number: ranking.ranked() for number, ranking in rankings.items()}


def _block_rows(block: Block, positions: np.ndarray) -> Block:
    if isinstance(block, SingleGroup):
        return SingleGroup(block.group[positions], block.score[positions])
    return block[positions]


class _Ranking:
    """The k best of every group among the rows that were added."""

    def __init__(self, groups: int, k: int) -> None:
        self.k = k
        self.running = [_RunningTopK(k) for _ in range(groups)]

    def add(self, block: Block, rows: np.ndarray) -> None:
        """Adds a block of S; its row numbers (b) rise, and are above those before."""
        if isinstance(block, SingleGroup):
            _add(self.running, block.group, block.score, rows)
            return
        thresholds = np.asarray([group.threshold for group in self.running])
        positions = _candidate_positions(block, thresholds, self.k)
        places, columns = np.divmod(positions, len(self.running))
        _add(self.running, columns, block.ravel()[positions], rows[places])

    def ranked(self) -> list[TopK]:
        """Every group's best, best first."""
        return [group.ranked() for group in self.running]


def _candidate_positions(block: np.ndarray, thresholds: np.ndarray, k: int) -> np.ndarray:
    """Flat positions, rising, of the scores that may be among the k best of their groups.

    They are above their group's threshold: few, from the second block on. In the first block a
    threshold is estimated from some of the rows. Where k or more of the block's scores are above
    it, so are the block's k best; for the other groups all scores are taken.
    """
    groups = block.shape[1]
    if len(block) <= 16 * k or (thresholds > -np.inf).all():
        return np.flatnonzero(block > thresholds)
    estimates = np.maximum(thresholds, _estimate_thresholds(block, k))
    positions = np.flatnonzero(block > estimates)
    above = np.bincount(positions % groups, minlength=groups)
    too_few = (above < k) & (estimates > thresholds)
    if too_few.any():
        return np.flatnonzero(block > np.where(too_few, thresholds, estimates))
    return positions


def _estimate_thresholds(block: np.ndarray, k: int) -> np.ndarray:
    """A number for each group that rather more than k of the block's scores are above."""
    step = max(8, len(block) // SAMPLED_ROWS)
    sample = np.ascontiguousarray(block[::step].T)
    rank = min(sample.shape[1], 2 * k // step + 16)
    return np.partition(sample, sample.shape[1] - rank, axis=1)[:, sample.shape[1] - rank]


def _add(
    running: list[_RunningTopK], groups: np.ndarray, scores: np.ndarray, rows: np.ndarray
) -> None:
    """Adds scores, in rising order of rows, to the groups that they belong to."""
    if len(groups) == 0:
        return
    # Within a group, rows stay in rising order. numpy sorts short integers by radix.
    short = groups.astype(np.uint16) if len(running) < 2**16 else groups
    order = np.argsort(short, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    for group, positions in zip(present, np.split(order, starts[1:]), strict=True):
        running[group].add(scores[positions], rows[positions])


class _RunningTopK:
    """A group's best so far, in rising order of rows; reduced to k whenever there are 2k."""

    def __init__(self, k: int) -> None:
        self.k, self.threshold, self.count = k, np.float32(-np.inf), 0
        self.rows: list[np.ndarray] = [np.empty(0, np.int64)]
        self.scores: list[np.ndarray] = [np.empty(0, np.float32)]

    def add(self, scores: np.ndarray, rows: np.ndarray) -> None:
        """Adds the scores above the threshold; rows must be in rising order."""
        # Rows come in rising order: a later row that only equals the k-th best does not enter.
        enters = scores > self.threshold
        if not enters.any():
            return
        self.rows.append(rows[enters])
        self.scores.append(scores[enters])
        self.count += len(self.rows[-1])
        if self.count >= (self.k if np.isneginf(self.threshold) else 2 * self.k):
            self._reduce()

    def _reduce(self) -> None:
        """Keeps the k best; of those that equal the last of them, the lowest rows."""
        rows, scores = np.concatenate(self.rows), np.concatenate(self.scores)
        self.threshold = np.partition(scores, len(scores) - self.k)[len(scores) - self.k]
        stays = scores > self.threshold
        equal = np.flatnonzero(scores == self.threshold)
        stays[equal[: self.k - np.count_nonzero(stays)]] = True
        self.rows, self.scores, self.count = [rows[stays]], [scores[stays]], self.k

    def ranked(self) -> TopK:
        """The k best, best first."""
        rows, scores = np.concatenate(self.rows), np.concatenate(self.scores)
        order = np.argsort(-scores, kind="stable")[: self.k]
        return TopK(rows[order], scores[order])
