"""Random draws that depend on a row's id, the seed and the draw's name, and on nothing else.

Every draw has a name of its own: two draws with the same seed are independent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np


class Ids(Protocol):
    """The ids of some rows: a list, or a column of a table."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __getitem__(self, row: int, /) -> str: ...


def random_scores(ids: Iterable[str], seed: int, name: str) -> np.ndarray:
    """A uniform number in [−1, 0) per row (float32, b), drawn from its id, the seed and the name.

    Floats are densest near 0, where the selected rows are: ties are rare even among millions.

    Args:
        name: of the draw; no other draw has it.
    """
    return -((_draws(ids, seed, name).astype(np.float64) + 1) / 2**64).astype(np.float32)


def shuffled_rows(ids: Ids, seed: int, name: str) -> np.ndarray:
    """Row numbers (int64, b) in a random order that does not depend on the pool's order.

    Args:
        name: of the draw; no other draw has it.
    """
    draws = _draws(ids, seed, name)
    order = np.argsort(draws, kind="stable")
    if (np.diff(draws[order]) == 0).any():  # one in a billion: two ids with the same draw
        return np.asarray(sorted(range(len(ids)), key=lambda row: (draws[row], ids[row])))
    return order


def derived_seed(seed: int, name: str) -> int:
    """A seed below 2^32 for a library's random generator, drawn from the seed and the name.

    Args:
        name: of the draw; no other draw has it.
    """
    return int(_draws([""], seed, name)[0] >> np.uint64(32))


def _draws(ids: Iterable[str], seed: int, name: str) -> np.ndarray:
    """64 random bits per row (uint64, b)."""
    hashes = (
        hashlib.blake2b(f"{name}\n{seed}\n{row_id}".encode(), digest_size=8).digest()
        for row_id in ids
    )
    numbers = (int.from_bytes(digest, "big") for digest in hashes)
    return np.fromiter(numbers, dtype=np.uint64)  # one after the other: no list of all
