"""The best k rows of every group, exactly, from a score matrix that streams by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from dataselect.matrix import Block, Parts


class Ranked(NamedTuple):
    """One group's best rows: row numbers (int64, k) and scores (float32, k), best first."""

    rows: np.ndarray
    scores: np.ndarray


def best(blocks: Iterable[Block], groups: int, k: int) -> list[Ranked]:
    """The k best candidates of every group, or all where there are fewer.

    Higher is better; equal scores rank by row number; −∞ is no candidate. Holds some k + b scores
    a group.

    Args:
        blocks: S in blocks of consecutive rows.
    """
    kept = [Ranked(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in range(groups)]
    first = 0
    for block in blocks:
        if isinstance(block, Parts):
            _take_parts(kept, block, first, k)
            first += len(block.group)
            continue
        for group, column in enumerate(np.ascontiguousarray(block.T)):
            _take(kept, group, column, first, k)
        first += len(block)
    return kept


def _take_parts(kept: list[Ranked], block: Parts, first: int, k: int) -> None:
    order = np.argsort(block.group, kind="stable")  # within a group, rows stay in rising order
    there, starts = np.unique(block.group[order], return_index=True)
    for group, rows in zip(there, np.split(order, starts[1:]), strict=True):
        _take(kept, int(group), block.score[rows], rows + first, k)


def _take(
    kept: list[Ranked], group: int, scores: np.ndarray, rows: int | np.ndarray, k: int
) -> None:
    """Lets what is good enough of a column enter; `rows`: the first row's number, or all."""
    # Rows come in rising order: a later row that only equals the k-th best does not enter.
    full = len(kept[group].rows) == k
    enters = scores > (kept[group].scores[-1] if full else -np.inf)
    if enters.any():
        at = np.flatnonzero(enters)
        numbers = rows[at] if isinstance(rows, np.ndarray) else at + rows
        kept[group] = _merge(kept[group], numbers, scores[at], k)


def _merge(kept: Ranked, rows: np.ndarray, scores: np.ndarray, k: int) -> Ranked:
    rows = np.concatenate([kept.rows, rows])
    scores = np.concatenate([kept.scores, scores])
    order = np.lexsort((rows, -scores))[:k]
    return Ranked(rows[order], scores[order])
