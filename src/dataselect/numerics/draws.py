"""Random draws that depend on a row's id and the seed, and on nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def random_scores(ids: Iterable[str], seed: int) -> np.ndarray:
    """A uniform number in [−1, 0) per row (float32, b), drawn from its id and the seed alone.

    Floats are densest near 0, where the selected rows are: ties are rare even among millions.
    """
    return -((_draws(ids, seed).astype(np.float64) + 1) / 2**64).astype(np.float32)


def shuffled_rows(ids: list[str], seed: int) -> np.ndarray:
    """Row numbers (int64, b) in a random order that does not depend on the pool's order."""
    draws = _draws(ids, seed)
    order = np.argsort(draws, kind="stable")
    if (np.diff(draws[order]) == 0).any():  # one in a billion: two ids with the same draw
        return np.asarray(sorted(range(len(ids)), key=lambda row: (draws[row], ids[row])))
    return order


def _draws(ids: Iterable[str], seed: int) -> np.ndarray:
    """64 random bits per row (uint64, b)."""
    hashes = (hashlib.blake2b(f"{seed}\n{name}".encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(b"".join(hashes), dtype=">u8").astype(np.uint64)
