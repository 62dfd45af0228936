"""A random priority: the selection that every method has to beat."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import numpy as np

from dataselect.errors import InputError
from dataselect.matrix import Group, Pool, Rows, Scores

MOST_SOURCES = 4_096  # groups of a dense score matrix


def random(pool: Pool, *, seed: int, per: Literal["pool", "source"] = "pool") -> Scores:
    """Every row gets a priority from its id and the seed, so a larger budget contains a smaller.

    Args:
        per: one group, the whole pool; or one a source, of which a round-robin draws equal shares.

    Source: random and balanced random of arXiv 2503.01807.
    """
    names = pool.sources if per == "source" else ["pool"]
    if len(names) > MOST_SOURCES:
        raise InputError(
            f"pool.path: {len(names)} sources, of which at most {MOST_SOURCES} can be balanced. Is "
            "`source` the name of a collection? Mend the column, or set `method: random`."
        )
    column = {name: number for number, name in enumerate(names)}

    def blocks() -> Iterator[np.ndarray]:
        for rows in pool.blocks:
            block = np.full((len(rows.id), len(names)), -np.inf, dtype=np.float32)
            of = [column[source] for source in rows.source] if per == "source" else 0
            block[np.arange(len(rows.id)), of] = priorities(rows, seed)
            yield block

    return Scores([Group(name, None) for name in names], blocks())


def priorities(rows: Rows, seed: int) -> np.ndarray:
    """One number in [−1, 0) a row (float32, b), uniform, from nothing but its id and the seed.

    Floats are densest near 0, where the chosen are: equal priorities, which the row number would
    have to settle, are rare even among millions of rows.
    """
    drawn = [
        int.from_bytes(hashlib.blake2b(f"{seed}\n{name}".encode(), digest_size=8).digest(), "big")
        for name in rows.id
    ]
    return -((np.asarray(drawn, dtype=np.float64) + 1) / 2**64).astype(np.float32)
