"""Random draws that depend on a row's id and the seed, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def random_scores(ids: Iterable[str], seed: int) -> np.ndarray:
    """One number in [−1, 0) a row (float32, b), uniform, from nothing but its id and the seed.

    Floats are densest near 0, where the chosen are: equal priorities, which the row number would
    have to settle, are rare even among millions of rows.
    """
    return -((_draws(ids, seed).astype(np.float64) + 1) / 2**64).astype(np.float32)


def shuffled_rows(ids: list[str], seed: int) -> np.ndarray:
    """Row numbers (int64, b) in a random order in which the pool's own has no part."""
    draws = _draws(ids, seed)
    order = np.argsort(draws, kind="stable")
    again = np.flatnonzero(np.diff(draws[order]) == 0)
    if len(again):  # one in a billion: two ids with one draw
        return np.asarray(sorted(range(len(ids)), key=lambda row: (draws[row], ids[row])))
    return order


def _draws(ids: Iterable[str], seed: int) -> np.ndarray:
    """64 random bits a row (uint64, b)."""
    hashes = (hashlib.blake2b(f"{seed}\n{name}".encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(b"".join(hashes), dtype=">u8").astype(np.uint64)
