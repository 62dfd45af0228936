"""Facility location: the vectors that represent all vectors best, chosen one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from dataselect.report import progress

TIE = 1e-5  # gains that differ by less are equal: rounding is less, at some 10,000s of rows
BLOCK = 512  # vectors a side: BLOCK² similarities stay in a core's own cache
PAIRS = 2**24  # pairs that are held, at most: 8 bytes each
SHARE = 1 / 16  # of all pairs, at most: of more, products are as fast
SAMPLE = 256  # vectors whose pairs are counted first

#: (function, items) → its results in order, as the builtin `map`; perhaps in threads.
Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


class Pairs(NamedTuple):
    """The similarities that still count: of each vector i, those j where one can add to the other.

    Attributes:
        starts: where the pairs of a vector begin, and where the last one's end (m + 1, int64).
        others: the numbers j (p, int32).
        similar: the similarities of i and j (p, float32).
    """

    starts: np.ndarray
    others: np.ndarray
    similar: np.ndarray


def greedy(unit: np.ndarray, n: int, each: Map = map) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the n of the unit vectors (m d, float32) that cover most; of equals, the first.

    What a vector adds is known of all at all times: when one is chosen, the rows that it covers
    better than those before change what all others add, and only these rows are compared again. As
    soon as the pairs that can still change anything fit in memory, only they are held, and nothing
    is multiplied any more. The blocks of products are always the same: `each` changes no result.

    Args:
        each: how to call a function on many items.

    Returns:
        Their numbers (n, int64), and what each added (n, float64), which rises by no more than TIE.
    """
    gains, covered = _first_gains(unit, each), np.zeros(len(unit), dtype=np.float32)
    chosen, added = np.zeros(n, dtype=np.int64), np.zeros(n)
    pairs, check = None, 0
    with progress("cover", n) as advance:
        for rank in range(n):
            if pairs is None and rank == check:
                pairs, check = _pairs(unit, covered, each), rank + rank // 4 + 1
            chosen[rank], added[rank] = best, _ = _best(gains)
            gains[best] = -np.inf
            if pairs is None:
                _choose(unit, best, covered, gains, each)
            else:
                _choose_of_pairs(pairs, best, covered, gains)
            advance(1)
    return chosen, added


def _best(gains: np.ndarray) -> tuple[int, float]:
    """The first of those that add the most, and what it adds; less than TIE is nothing."""
    highest = gains.max()
    if highest < TIE:
        return int(np.argmax(gains > -np.inf)), 0.0
    best = int(np.argmax(gains >= max(highest - TIE, TIE)))
    return best, float(gains[best])


def _first_gains(unit: np.ndarray, each: Map) -> np.ndarray:
    """What each vector adds to nothing (m, float64); 0 for those that equal an earlier vector."""

    def sums(first: int) -> np.ndarray:
        rows, found = unit[first : first + BLOCK], np.zeros(len(unit) - first)
        for second in range(first, len(unit), BLOCK):
            similar = rows @ unit[second : second + BLOCK].T  # b d @ d b
            np.maximum(similar, 0, out=similar)
            found[: len(rows)] += similar.sum(axis=1, dtype=np.float64)
            if second > first:
                part = slice(second - first, second - first + similar.shape[1])
                found[part] += similar.sum(axis=0, dtype=np.float64)
        return found

    gains, starts = np.zeros(len(unit)), range(0, len(unit), BLOCK)
    with progress("compare", len(unit)) as advance:
        for first, found in zip(starts, each(sums, starts), strict=True):
            gains[first:] += found
            advance(min(BLOCK, len(found)))
    # Of equal vectors only the first can add anything: nothing is left to rounding.
    seen: set[bytes] = set()
    for number, vector in enumerate(unit):
        digest = hashlib.blake2b(vector.tobytes(), digest_size=16).digest()
        if digest in seen:
            gains[number] = 0
        seen.add(digest)
    return gains


def _choose(unit: np.ndarray, best: int, covered: np.ndarray, gains: np.ndarray, each: Map) -> None:
    """Covers what a vector covers better (m), and takes that from what the others add (m)."""
    similar = unit @ unit[best]
    better = np.flatnonzero(similar > covered)
    before, after, rows = covered[better], similar[better], unit[better]
    covered[better] = after

    def lost(first: int) -> np.ndarray:
        vectors = unit[first : first + BLOCK]
        found = np.zeros(len(vectors))
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            block = vectors @ rows[part].T  # b d @ d b
            found += _lost(block, before[part], after[part]).sum(axis=1, dtype=np.float64)
        return found

    starts = range(0, len(unit), BLOCK)
    for first, found in zip(starts, each(lost, starts), strict=True):
        gains[first : first + BLOCK] -= found


def _choose_of_pairs(pairs: Pairs, best: int, covered: np.ndarray, gains: np.ndarray) -> None:
    """Does the same with the pairs that are held."""
    own = slice(*pairs.starts[best : best + 2])
    rows, after = pairs.others[own], pairs.similar[own]
    better = after > covered[rows]
    rows, after = rows[better], after[better]
    before = covered[rows]
    covered[rows] = after
    first, count = pairs.starts[rows], pairs.starts[rows + 1] - pairs.starts[rows]
    places = np.repeat(first - count.cumsum() + count, count) + np.arange(count.sum())
    lost = _lost(pairs.similar[places], np.repeat(before, count), np.repeat(after, count))
    gains -= np.bincount(pairs.others[places], weights=lost, minlength=len(gains))


def _lost(similar: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """What candidates add less to rows that are covered better; in place of their similarities."""
    np.maximum(similar, before, out=similar)
    np.minimum(similar, after, out=similar)
    return np.subtract(similar, before, out=similar)


def _pairs(unit: np.ndarray, covered: np.ndarray, each: Map) -> Pairs | None:
    """The pairs that still count; None where a sample says, or all say, that they are too many."""
    sample = np.linspace(0, len(unit) - 1, min(SAMPLE, len(unit)), dtype=np.int64)
    expected = len(_pairs_of(unit, covered, sample)[1]) / len(sample) * len(unit)
    if expected > min(PAIRS, SHARE * len(unit) ** 2):
        return None
    blocks = np.split(np.arange(len(unit)), range(BLOCK, len(unit), BLOCK))
    parts: list[list[np.ndarray]] = [[], [], []]
    total = 0
    for found in each(partial(_pairs_of, unit, covered), blocks):
        for part, array in zip(parts, found, strict=True):
            part.append(array)
        if (total := total + len(found[1])) > 2 * PAIRS:
            return None
    # Each list is freed before the next is joined.
    counts, others, similar = (np.concatenate(parts.pop(0)) for _ in range(3))
    return Pairs(np.concatenate([[0], counts.cumsum()]), others, similar)


def _pairs_of(
    unit: np.ndarray, covered: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many pairs each of some vectors (numbers) has, and the pairs, row by row."""
    own, own_covered = unit[rows], covered[rows, None]
    found = []
    for first in range(0, len(unit), BLOCK):
        similar = own @ unit[first : first + BLOCK].T  # b d @ d b
        least = np.minimum(own_covered, covered[first : first + BLOCK])
        places = np.flatnonzero(similar > least)
        row, other = np.divmod(places.astype(np.int32), np.int32(similar.shape[1]))
        found.append((row.astype(np.int16), other + np.int32(first), similar.reshape(-1)[places]))
    row, other, similar = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(row, kind="stable")
    return np.bincount(row, minlength=len(rows)), other[order], similar[order]
