"""How hard a row is for the model: the hardest, the middle, or those nearest the median."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from dataselect.data.scores import Group, Pool, Rows, Scores
from dataselect.score import PoolScorer, Prepared, RowScorer, Scorer
from dataselect.settings import Fraction, OnlyWith


def perplexity(
    *,
    of: Literal["whole", "response"] = "whole",
    best: Literal["highest", "from_rank", "median"] = "highest",
    start: Annotated[Fraction, OnlyWith("best", "from_rank")] = 0.33,
) -> Scorer:
    """S[d] orders rows by their mean loss; perplexity is its exponential and orders them alike.

    Args:
        of: the loss of every token but the first, or of the response only.
        best: `highest` loss first; `from_rank`: likewise, but the first int(start · n) of all n
            rows are no candidates; `median`: the nearest to the median loss first.
        start: the share of rows that `from_rank` skips.

    Source: top and mid perplexity of arXiv 2503.01807 as hamishivi/automated-instruction-
    selection@df71a04 has them (whole rows, start 0.33); middle perplexity of S2L (arXiv
    2403.07384), whose definition is not published: here the responses' loss nearest its median.
    """
    name, groups = f"{of}_nll", [Group("pool", None)]

    def score_rows(rows: Rows) -> np.ndarray:
        return _column(rows.features[name])

    def score_pool(pool: Pool) -> Scores:
        nll = np.concatenate([rows.features[name] for rows in pool.blocks])
        scores = _from_rank(nll, start) if best == "from_rank" else _distance_to_median(nll)
        return Scores(groups, iter([_column(scores)]))

    if best == "highest":  # the only one where a row's score depends on no other row
        return RowScorer((name,), lambda pool, queries: Prepared(groups, score_rows))
    return PoolScorer((name,), score_pool)


def _column(scores: np.ndarray) -> np.ndarray:
    """The block (b 1) of a single group; a row without a loss is no candidate."""
    return np.where(np.isfinite(scores), scores, -np.inf).astype(np.float32)[:, None]


def _from_rank(nll: np.ndarray, start: float) -> np.ndarray:
    """The losses, with −∞ for the highest int(start · n) of them."""
    order = np.lexsort((np.arange(len(nll)), -np.nan_to_num(nll, nan=-np.inf)))
    scores = nll.copy()
    scores[order[: int(start * len(nll))]] = -np.inf
    return scores


def _distance_to_median(nll: np.ndarray) -> np.ndarray:
    """Minus each loss's distance to the median of the finite losses."""
    finite = np.sort(nll[np.isfinite(nll)])
    # The lower of two middle ones, a row's own loss: their mean would be as near to either.
    return -np.abs(nll - finite[(len(finite) - 1) // 2]) if len(finite) else nll
