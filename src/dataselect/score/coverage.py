"""How much a row adds to what the rows before it cover: the facility-location baseline."""

from __future__ import annotations

import hashlib

import numpy as np

from dataselect.data.budget import share_of
from dataselect.data.scores import Group, Pool, Scores
from dataselect.report import progress
from dataselect.score import PoolScorer

TIE = 1e-5  # gains that differ by less are equal: rounding is less, at some 10,000s of rows
WIDTH = 64  # candidates evaluated together: a product wide enough to be fast
ROWS = 2_048  # rows at a time: WIDTH · ROWS similarities stay in a core's own cache


def coverage(*, budget: int | str) -> PoolScorer:
    """S[d] is what row d adds to f(rows chosen before), each being the one that adds the most.

    f(S) = Σᵢ maxⱼ∈S max(0, cos(i, j)) over the pool: how well the nearest chosen row represents
    every row. S (n 1, float32) decreases strictly in the order of choice, equal gains being
    separated by the smallest step, so `top` takes that order. Of gains within TIE the lowest id is
    first: two rows that represent only each other have equal gains, and rounding may not choose. A
    row beyond the budget is no candidate; nor is one without a finite vector that is not zero,
    which also counts for nothing in f. A larger budget contains a smaller.

    Exact but for ties, without n² memory: the lazy greedy of Minoux (1978), many candidates at a
    time. Holds all vectors (n d, float32), and passes over all pairs 10 to 20 times.

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
        chosen, gains = greedy(vectors, min(limit, len(order)))
        scores = np.full((len(ids), 1), -np.inf, dtype=np.float32)
        scores[order[chosen], 0] = strictly_decreasing(gains)
        return Scores([Group("pool", None)], iter([scores]))

    return PoolScorer(("vectors",), score)


def greedy(unit: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the n of the unit vectors (m d) that cover most, one by one; of equals, the first.

    Returns:
        Their numbers (n, int64), and their gains (n, float64), which rise by no more than TIE.
    """
    covered = np.zeros(len(unit), dtype=np.float32)  # by the nearest chosen vector
    bounds = _first_gains(unit, covered)
    chosen, gains = np.zeros(n, dtype=np.int64), np.zeros(n)
    with progress("cover", n) as advance:
        for rank in range(n):
            best = _best(unit, covered, bounds)
            chosen[rank], gains[rank] = best, bounds[best]
            bounds[best] = -np.inf
            np.maximum(covered, unit @ unit[best], out=covered)
            advance(1)
    return chosen, gains


def _best(unit: np.ndarray, covered: np.ndarray, bounds: np.ndarray) -> int:
    """The first of those that add most; lowers the bounds (m) of the candidates it evaluates.

    A gain only falls as more is covered, so an earlier gain is an upper bound. The candidates with
    the highest bounds are evaluated again, WIDTH at a time, until no other can be among the best.
    """
    fresh = bounds <= 0  # these cannot fall further
    while True:
        near = np.flatnonzero(bounds >= bounds.max() - TIE)
        if fresh[near].all():
            return int(near[0])
        highest = _highest(np.where(fresh, -np.inf, bounds))
        bounds[highest] = np.minimum(bounds[highest], _gains(unit, highest, covered))
        fresh[highest] = True


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


def _first_gains(unit: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """What each vector adds to nothing; 0 for those that equal an earlier vector."""
    gains = np.zeros(len(unit))
    with progress("compare", len(unit)) as advance:
        for first in range(0, len(unit), WIDTH):
            candidates = np.arange(first, min(first + WIDTH, len(unit)))
            gains[candidates] = _gains(unit, candidates, covered)
            advance(len(candidates))
    # Of equal vectors only the first can add anything: nothing is left to rounding.
    seen: set[bytes] = set()
    for number, vector in enumerate(unit):
        digest = hashlib.blake2b(vector.tobytes(), digest_size=16).digest()
        if digest in seen:
            gains[number] = 0
        seen.add(digest)
    return gains


def _highest(bounds: np.ndarray) -> np.ndarray:
    """The numbers of the WIDTH highest, in no order."""
    return np.argpartition(-bounds, min(WIDTH, len(bounds)) - 1)[:WIDTH]


def _gains(unit: np.ndarray, candidates: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """What each candidate (c, numbers) adds to what is covered (m): c, float64, 0 below TIE."""
    vectors, gains = unit[candidates], np.zeros(len(candidates))
    for first in range(0, len(unit), ROWS):
        added = vectors @ unit[first : first + ROWS].T  # c d @ d r
        added -= covered[first : first + ROWS]
        np.maximum(added, 0, out=added)
        gains += added.sum(axis=1, dtype=np.float64)
    return np.where(gains < TIE, 0, gains)
