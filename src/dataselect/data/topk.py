"""The best k rows of every group, exactly, from a score matrix that streams by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dataselect.data.scores import Block, SingleGroup

#: About so many rows are enough to guess where a group's best begin.
SEEN = 4_096


class TopK(NamedTuple):
    """One group's best rows: row numbers (int64, k) and scores (float32, k), best first."""

    rows: np.ndarray
    scores: np.ndarray


def top_k(blocks: Iterable[Block], groups: int, k: int) -> list[TopK]:
    """The k best candidates of every group, or all where there are fewer.

    Higher is better; equal scores rank by row number; −∞ is no candidate. Holds some 2k + b scores
    a group.

    Args:
        blocks: S in blocks of consecutive rows.
    """
    kept = [_RunningTopK(k) for _ in range(groups)]
    first = 0
    for block in blocks:
        if isinstance(block, SingleGroup):
            _take(kept, block.group, block.score, np.arange(first, first + len(block.group)))
            first += len(block.group)
        else:
            at = _candidate_positions(block, np.asarray([one.floor for one in kept]), k)
            rows, of = np.divmod(at, groups)
            _take(kept, of, block.ravel()[at], rows + first)
            first += len(block)
    return [one.ranked() for one in kept]


def _candidate_positions(block: np.ndarray, floors: np.ndarray, k: int) -> np.ndarray:
    """Where in a block (flat, rising) scores are that may be among the k best of their groups.

    They are above the floor of their group: few, from the second block on. In the first, a floor is
    guessed from some of the rows. Where k or more of the block are above it, so are the k best of
    the block; elsewhere all are taken.
    """
    groups = block.shape[1]
    if len(block) <= 16 * k or (floors > -np.inf).all():
        return np.flatnonzero(block > floors)
    guess = np.maximum(floors, _estimate_thresholds(block, k))
    at = np.flatnonzero(block > guess)
    short = (np.bincount(at % groups, minlength=groups) < k) & (guess > floors)
    return np.flatnonzero(block > np.where(short, floors, guess)) if short.any() else at


def _estimate_thresholds(block: np.ndarray, k: int) -> np.ndarray:
    """A number for each group that rather more than k of the block's scores are above."""
    step = max(8, len(block) // SEEN)
    seen = np.ascontiguousarray(block[::step].T)
    rank = min(seen.shape[1], 2 * k // step + 16)
    return np.partition(seen, seen.shape[1] - rank, axis=1)[:, seen.shape[1] - rank]


def _take(kept: list[_RunningTopK], of: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> None:
    """Hands scores (in rising order of rows) to the groups that they are of."""
    if len(of) == 0:
        return
    # Within a group, rows stay in rising order. Of short integers numpy sorts by radix.
    order = np.argsort(of.astype(np.uint16) if len(kept) < 2**16 else of, kind="stable")
    there, starts = np.unique(of[order], return_index=True)
    for group, places in zip(there, np.split(order, starts[1:]), strict=True):
        kept[group].add(scores[places], rows[places])


class _RunningTopK:
    """A group's best so far, in rising order of rows; thinned out to k whenever they are 2k."""

    def __init__(self, k: int) -> None:
        self.k, self.floor, self.count = k, np.float32(-np.inf), 0
        self.rows: list[np.ndarray] = [np.empty(0, np.int64)]
        self.scores: list[np.ndarray] = [np.empty(0, np.float32)]

    def add(self, scores: np.ndarray, rows: np.ndarray) -> None:
        """Lets what is good enough enter: scores, and their rows in rising order."""
        # Rows come in rising order: a later row that only equals the k-th best does not enter.
        enters = scores > self.floor
        if not enters.any():
            return
        self.rows.append(rows[enters])
        self.scores.append(scores[enters])
        self.count += len(self.rows[-1])
        if self.count >= (self.k if np.isneginf(self.floor) else 2 * self.k):
            self._thin()

    def _thin(self) -> None:
        """Keeps the k best; of those that equal the last of them, the lowest rows."""
        rows, scores = np.concatenate(self.rows), np.concatenate(self.scores)
        self.floor = np.partition(scores, len(scores) - self.k)[len(scores) - self.k]
        stays = scores > self.floor
        equal = np.flatnonzero(scores == self.floor)
        stays[equal[: self.k - np.count_nonzero(stays)]] = True
        self.rows, self.scores, self.count = [rows[stays]], [scores[stays]], self.k

    def ranked(self) -> TopK:
        """The k best, best first."""
        rows, scores = np.concatenate(self.rows), np.concatenate(self.scores)
        order = np.argsort(-scores, kind="stable")[: self.k]
        return TopK(rows[order], scores[order])
