"""A single measured number as the score."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Rows
from dataselect.errors import InputError
from dataselect.score import Prepared, RowScorer


def measure(*, name: str, best: Literal["highest", "lowest"] = "highest") -> RowScorer:
    """S[d] is one feature of row d, or its negative where the lowest are wanted.

    Args:
        name: a feature with one number per row, such as `tokens` or `probability`.
        best: whether the highest or the lowest numbers are chosen first.

    Source: the length baseline of arXiv 2503.01807; least confidence of S2L (arXiv 2403.07384):
    the lowest mean probability of the response tokens.
    """
    sign = 1.0 if best == "highest" else -1.0

    def score(rows: Rows) -> np.ndarray:
        if rows.features[name].ndim != 1:
            raise InputError(
                f"the scorer `measure`: expected a feature with one number per row; `{name}` has "
                "a vector. Name another in methods.yaml."
            )
        scores = sign * rows.features[name].astype(np.float32)
        return np.where(np.isfinite(scores), scores, -np.inf).astype(np.float32)[:, None]

    return RowScorer((name,), lambda pool, queries: Prepared([Group("pool", None)], score))
