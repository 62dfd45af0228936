"""Random draws that depend on a row's id and the seed, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def priorities(ids: Iterable[str], seed: int) -> np.ndarray:
    """One number in [−1, 0) a row (float32, b), uniform, from nothing but its id and the seed.

    Floats are densest near 0, where the chosen are: equal priorities, which the row number would
    have to settle, are rare even among millions of rows.
    """
    drawn = [
        int.from_bytes(hashlib.blake2b(f"{seed}\n{name}".encode(), digest_size=8).digest(), "big")
        for name in ids
    ]
    return -((np.asarray(drawn, dtype=np.float64) + 1) / 2**64).astype(np.float32)


def shuffled(ids: list[str], seed: int) -> np.ndarray:
    """Row numbers (int64, b) in a random order in which the pool's own has no part."""
    return np.lexsort((np.asarray(ids), -priorities(ids, seed)))
