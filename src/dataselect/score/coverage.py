"""How much a row adds to what the rows before it cover: the facility-location baseline."""

from __future__ import annotations

import numpy as np

from dataselect.compute.threads import thread_map
from dataselect.data.budget import share_of
from dataselect.data.scores import Group, Pool, Scores
from dataselect.numerics.cover import greedy
from dataselect.score import PoolScorer


def coverage(*, budget: int | str) -> PoolScorer:
    """S[d] is what row d adds to f(rows chosen before), each being the one that adds the most.

    f(S) = Σᵢ maxⱼ∈S max(0, cos(i, j)) over the pool: how well the nearest chosen row represents
    every row. S (n 1, float32) decreases strictly in the order of choice, equal gains being
    separated by the smallest step, so `top` takes that order. Of gains within 1e-5 the lowest id is
    first: two rows that represent only each other have equal gains, and rounding may not choose. A
    row beyond the budget is no candidate; nor is one without a finite vector that is not zero,
    which also counts for nothing in f. A larger budget contains a smaller.

    Exact but for ties, without n² memory: see `numerics.cover`. Holds all vectors (n d, float32)
    and up to 2^25 pairs, of 8 bytes; multiplies all pairs 3 to 6 times, on all cores.

    Args:
        budget: how many rows are chosen: a number, or a share of the pool such as "5%".

    Source: facility location of S2L (arXiv 2403.07384) on last hidden states, whose definition is
    not published: here plain greedy on the cosine, clipped at 0.
    """

    def score(pool: Pool) -> Scores:
        count = pool.info.row_count
        limit = share_of(budget, count) if isinstance(budget, str) else budget
        ids, vectors = _read(pool)
        candidates = sorted(np.flatnonzero(vectors.any(axis=1)).tolist(), key=ids.__getitem__)
        order = np.asarray(candidates, dtype=np.int64)
        vectors = vectors[order]  # in place of all vectors, whose memory is freed
        with thread_map() as each:
            chosen, gains = greedy(vectors, min(limit, len(order)), each)
        scores = np.full((len(ids), 1), -np.inf, dtype=np.float32)
        scores[order[chosen], 0] = strictly_decreasing(gains)
        return Scores([Group("pool", None)], iter([scores]))

    return PoolScorer(("vectors",), score)


def strictly_decreasing(gains: np.ndarray) -> np.ndarray:
    """Gains as float32; one that does not fall is set a step below the one before."""
    scores = gains.astype(np.float32)
    # At 0 a step is the smallest normal number: some libraries take what is below it for 0.
    tiny, lowest = np.finfo(np.float32).tiny, np.float32(-np.inf)
    for rank in range(1, len(scores)):
        before = scores[rank - 1]
        scores[rank] = min(scores[rank], np.nextafter(before, lowest), before - tiny)
    return scores


def _read(pool: Pool) -> tuple[list[str], np.ndarray]:
    """The pool's ids, and its vectors scaled to length 1 (n d); 0 where one is not finite."""
    ids, blocks = [], []
    for rows in pool.blocks:
        vectors = rows.features["vectors"].astype(np.float32)
        vectors[~np.isfinite(vectors).all(axis=1)] = 0
        largest = np.abs(vectors).max(axis=1, keepdims=True)
        vectors /= np.where(largest > 0, largest, 1)  # else squares overflow
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1)
        ids += rows.id
        blocks.append(vectors)
    return ids, np.concatenate(blocks)
