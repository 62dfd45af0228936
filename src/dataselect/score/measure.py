"""A single measured number as the score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Pool, Scores

APART = True


def needs(*, name: str, **settings: object) -> tuple[str, ...]:
    """The arrays that are looked at."""
    return (name,)


def measure(pool: Pool, *, name: str, best: Literal["highest", "lowest"] = "highest") -> Scores:
    """S[d] is one feature of the row, or its negative where the lowest are wanted.

    Args:
        name: a feature with one number a row, such as `tokens` or `probability`.

    Source: the length baseline of arXiv 2503.01807; least confidence of S2L (arXiv 2403.07384):
    the lowest mean probability of the response tokens.
    """
    sign = 1.0 if best == "highest" else -1.0

    def blocks() -> Iterator[np.ndarray]:
        for rows in pool.blocks:
            scores = sign * rows.features[name].astype(np.float32)
            yield np.where(np.isfinite(scores), scores, -np.inf).astype(np.float32)[:, None]

    return Scores([Group("pool", None)], blocks())
