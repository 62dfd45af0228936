"""A column of the pool itself as the score."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Rows
from dataselect.score import Prepared, RowScorer


def column(*, name: str, best: Literal["highest", "lowest"] = "highest") -> RowScorer:
    """S[d] is the number that row d has in a column, or its negative where the lowest are wanted.

    A row without a finite number there is no candidate.

    Args:
        name: a column of the pool's files, such as `judge_score`; true is 1, false is 0.
        best: whether the highest or the lowest numbers are chosen first.
    """
    sign = 1.0 if best == "highest" else -1.0

    def score(rows: Rows) -> np.ndarray:
        scores = (sign * rows.columns[name]).astype(np.float32)
        return np.where(np.isfinite(scores), scores, np.float32(-np.inf))[:, None]

    prepared = Prepared([Group("pool", None)], score)
    return RowScorer((), lambda pool, queries: prepared, columns=(name,))
