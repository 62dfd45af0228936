"""What training changed for a row: how far its loss, or the model's confidence, fell."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Rows
from dataselect.errors import InputError
from dataselect.score import Prepared, RowScorer
from dataselect.settings import NonNegativeInt, PositiveInt


def change(
    *,
    of: Literal["nll", "probability"],
    by: Literal["difference", "slope"] = "difference",
    early: NonNegativeInt = 0,
    late: PositiveInt | Literal["last"] = "last",
) -> RowScorer:
    """S[d] is how far a number of row d falls over training: the higher, the further.

    Args:
        of: the mean loss of its response tokens, or their mean probability.
        by: `difference`: at the early checkpoint minus at the late one. `slope`: minus the slope
            of the straight line (least squares) through the numbers from the one to the other.
        early: the checkpoint that the change starts from, by its number among those that measure
            rows; 0: the model before its first step.
        late: the checkpoint that it ends with.

    Raises:
        InputError: `late` is not after `early`.

    Source: baselines of S2L (arXiv 2403.07384) whose definitions are not published: high
    learnability is the largest drop of the loss, confidence curriculum the steepest fall of the
    confidence over training. There, too, with early and late checkpoints.
    """
    if late != "last" and late <= early:
        raise InputError(
            f"the scorer `change`: late: expected a checkpoint after `early` ({early}); found "
            f"{late}. Set another."
        )
    needed = early + 1 if late == "last" else late

    def score(rows: Rows) -> np.ndarray:
        before, during = rows.features[f"before_{of}"], rows.features[of]
        if during.shape[1] < needed:
            raise InputError(
                f"the scorer `change`: expected {needed} checkpoints at least; the reference left "
                f"{during.shape[1]}. Lower `early` or `late`, or raise its `epochs`."
            )
        course = np.column_stack([before, during]).astype(np.float64)  # b, 1 + checkpoints
        course = course[:, early : None if late == "last" else late + 1]
        time = np.arange(course.shape[1]) - (course.shape[1] - 1) / 2
        rise = course[:, -1] - course[:, 0] if by == "difference" else course @ time
        scores = -rise / (1 if by == "difference" else np.square(time).sum())
        return np.where(np.isfinite(scores), scores, -np.inf).astype(np.float32)[:, None]

    return RowScorer(
        inputs=(of, f"before_{of}"),
        prepare=lambda pool, queries: Prepared([Group("pool", None)], score),
        checkpoints=needed,
    )
