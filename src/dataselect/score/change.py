"""What training changed of a row: how far its loss, or the model's confidence, fell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Pool, Scores

APART = True


def needs(*, of: str, **settings: object) -> tuple[str, ...]:
    """The arrays that are looked at."""
    return (of, f"before_{of}")


def change(
    pool: Pool,
    *,
    of: Literal["nll", "probability"],
    by: Literal["difference", "slope"] = "difference",
) -> Scores:
    """S[d] is how far a row's number falls over training: the higher, the further.

    Args:
        of: the mean loss of its response tokens, or their mean probability.
        by: `difference`: before the first step minus after the last. `slope`: minus the slope of
            the straight line (least squares) through the number before and at every checkpoint.

    Source: baselines of S2L (arXiv 2403.07384) whose definitions are not published: high
    learnability is the largest drop of the loss, confidence curriculum the steepest fall of the
    confidence over training.
    """

    def blocks() -> Iterator[np.ndarray]:
        for rows in pool.blocks:
            before, during = rows.features[f"before_{of}"], rows.features[of]
            course = np.column_stack([before, during]).astype(np.float64)  # b, 1 + c
            when = np.arange(course.shape[1]) - (course.shape[1] - 1) / 2
            rise = course[:, -1] - course[:, 0] if by == "difference" else course @ when
            scores = -rise / (1 if by == "difference" else np.square(when).sum())
            yield np.where(np.isfinite(scores), scores, -np.inf).astype(np.float32)[:, None]

    return Scores([Group("pool", None)], blocks())
