"""What training changed for a row: how far its loss, or the model's confidence, fell."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Rows
from dataselect.score import Prepared, RowScorer


def change(
    *, of: Literal["nll", "probability"], by: Literal["difference", "slope"] = "difference"
) -> RowScorer:
    """S[d] is how far a number of row d falls over training: the higher, the further.

    Args:
        of: the mean loss of its response tokens, or their mean probability.
        by: `difference`: before the first step minus after the last. `slope`: minus the slope of
            the straight line (least squares) through the number before and at every checkpoint.

    Source: baselines of S2L (arXiv 2403.07384) whose definitions are not published: high
    learnability is the largest drop of the loss, confidence curriculum the steepest fall of the
    confidence over training.
    """

    def score(rows: Rows) -> np.ndarray:
        before, during = rows.features[f"before_{of}"], rows.features[of]
        course = np.column_stack([before, during]).astype(np.float64)  # b, 1 + checkpoints
        time = np.arange(course.shape[1]) - (course.shape[1] - 1) / 2
        rise = course[:, -1] - course[:, 0] if by == "difference" else course @ time
        scores = -rise / (1 if by == "difference" else np.square(time).sum())
        return np.where(np.isfinite(scores), scores, -np.inf).astype(np.float32)[:, None]

    inputs = (of, f"before_{of}")
    return RowScorer(inputs, lambda pool, queries: Prepared([Group("pool", None)], score))
