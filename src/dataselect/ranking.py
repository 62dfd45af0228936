"""The best k rows of every group, exactly, from a score matrix that streams by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Ranked(NamedTuple):
    """One group's best rows: row numbers (int64, k) and scores (float32, k), best first."""

    rows: np.ndarray
    scores: np.ndarray


def best(blocks: Iterable[np.ndarray], groups: int, k: int) -> list[Ranked]:
    """The k best candidates of every group, or all where there are fewer.

    Higher is better; equal scores rank by row number; −∞ is no candidate. Holds some k + b scores
    a group.

    Args:
        blocks: S in blocks of consecutive rows, b g.
    """
    kept = [Ranked(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in range(groups)]
    first = 0
    for block in blocks:
        for group, column in enumerate(np.ascontiguousarray(block.T)):
            # Rows come in rising order: a later row that only equals the k-th best does not enter.
            full = len(kept[group].rows) == k
            enters = column > (kept[group].scores[-1] if full else -np.inf)
            if enters.any():
                rows = np.flatnonzero(enters)
                kept[group] = _merge(kept[group], rows + first, column[rows], k)
        first += len(block)
    return kept


def _merge(kept: Ranked, rows: np.ndarray, scores: np.ndarray, k: int) -> Ranked:
    rows = np.concatenate([kept.rows, rows])
    scores = np.concatenate([kept.scores, scores])
    order = np.lexsort((rows, -scores))[:k]
    return Ranked(rows[order], scores[order])
