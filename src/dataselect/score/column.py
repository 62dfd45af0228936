"""A column of the pool itself as the score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Pool, Scores
from dataselect.score import PoolScorer

#: Rows whose scores are given out together.
ROWS_PER_BLOCK = 65_536


def column(*, name: str, best: Literal["highest", "lowest"] = "highest") -> PoolScorer:
    """S[d] is the number that row d has in a column, or its negative where the lowest are wanted.

    A row without a finite number there is no candidate. Where 32 bits cannot tell all numbers
    apart, as those of seconds since 1970, S has their ranks instead, from 0 for the worst.

    Args:
        name: a column of the pool's files, such as `judge_score`; true is 1, false is 0.
        best: whether the highest or the lowest numbers are chosen first.
    """
    sign = 1.0 if best == "highest" else -1.0

    def score(pool: Pool) -> Scores:
        parts = [sign * rows.columns[name] for rows in pool.blocks]
        scores = _in_32_bits(np.concatenate([np.empty(0), *parts]))[:, None]
        return Scores([Group("pool", None)], _blocks(scores))

    return PoolScorer((), score, columns=(name,))


def _blocks(scores: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(scores), ROWS_PER_BLOCK):
        yield scores[first : first + ROWS_PER_BLOCK]


def _in_32_bits(numbers: np.ndarray) -> np.ndarray:
    """Numbers (float64, n) as float32 in the same order; −∞ where one is not finite."""
    finite = np.isfinite(numbers)
    different = np.unique(numbers[finite])
    with np.errstate(over="ignore"):
        short = different.astype(np.float32)
    if not np.isfinite(short).all() or len(np.unique(short)) < len(different):
        short = np.arange(len(different), dtype=np.float32)
    scores = np.full(len(numbers), -np.inf, dtype=np.float32)
    scores[finite] = short[np.searchsorted(different, numbers[finite])]
    return scores
