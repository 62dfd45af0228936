"""Instruction-following difficulty: how much the instruction helps with its response."""

from __future__ import annotations

import numpy as np

from dataselect.data.scores import Group, Rows
from dataselect.score import Prepared, RowScorer


def ifd() -> RowScorer:
    """S[d] is the response's mean loss given the instruction over its mean loss alone.

    The nearer to 1, the less the instruction helps, and the more there is to learn. A ratio above 1
    (the instruction hurts: the two do not belong together) and a truncated row are no candidates.

    Source: arXiv 2308.12032, tianyi-lab/Cherry_LLM; over all assistant turns of a row.
    """

    def score(rows: Rows) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = rows.features["response_nll"] / rows.features["direct_nll"]
        candidate = np.isfinite(ratio) & (ratio <= 1) & ~rows.features["cut"]
        return np.where(candidate, ratio, -np.inf).astype(np.float32)[:, None]

    inputs = ("response_nll", "direct_nll", "cut")
    return RowScorer(inputs, lambda pool, queries: Prepared([Group("pool", None)], score))
