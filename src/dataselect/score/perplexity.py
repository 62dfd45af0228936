"""How hard a row is for the model: the hardest, the middle, or those nearest the median."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Lt

from dataselect.data.scores import Group, Pool, Scores


def needs(*, of: str, **settings: object) -> tuple[str, ...]:
    """The arrays that are looked at."""
    return (f"{of}_nll",)


def perplexity(
    pool: Pool,
    *,
    of: Literal["whole", "response"] = "whole",
    best: Literal["highest", "from_rank", "median"] = "highest",
    start: Annotated[float, Ge(0), Lt(1)] = 0.33,
) -> Scores:
    """S[d] orders rows by their mean loss; perplexity is its exponential and orders them alike.

    Args:
        of: the loss of every token but the first, or of the response only.
        best: `highest` loss first; `from_rank`: likewise, from rank int(start · n) of all n rows
            on, those before it being no candidates; `median`: the nearest to the median loss first.
        start: the share of rows that `from_rank` passes over.

    Source: top and mid perplexity of arXiv 2503.01807 as hamishivi/automated-instruction-
    selection@df71a04 has them (whole rows, start 0.33); middle perplexity of S2L (arXiv
    2403.07384), whose definition is not published: here the responses' loss nearest its median.
    """

    def blocks() -> Iterator[np.ndarray]:
        if best == "highest":  # the only one that can stream
            for rows in pool.blocks:
                yield _column(rows.features[f"{of}_nll"])
            return
        nll = np.concatenate([rows.features[f"{of}_nll"] for rows in pool.blocks])
        yield _column(_from_rank(nll, start) if best == "from_rank" else _to_median(nll))

    return Scores([Group("pool", None)], blocks())


def _column(scores: np.ndarray) -> np.ndarray:
    """One group (b 1); a row without a loss is no candidate."""
    return np.where(np.isfinite(scores), scores, -np.inf).astype(np.float32)[:, None]


def _from_rank(nll: np.ndarray, start: float) -> np.ndarray:
    order = np.lexsort((np.arange(len(nll)), -np.nan_to_num(nll, nan=-np.inf)))
    scores = nll.copy()
    scores[order[: int(start * len(nll))]] = -np.inf
    return scores


def _to_median(nll: np.ndarray) -> np.ndarray:
    there = np.sort(nll[np.isfinite(nll)])
    # The lower of two middle ones, a row's own loss: the mean of both would be as near to either.
    return -np.abs(nll - there[(len(there) - 1) // 2]) if len(there) else nll
