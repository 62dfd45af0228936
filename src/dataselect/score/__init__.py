"""How features become scores: a file per scorer.

The file `score/<name>.py` has a function `<name>`: its keyword-only parameters are the scorer's
settings, and it returns a `RowScorer` or a `PoolScorer`. The settings `seed`, `groups` and
`budget` are taken from params.yaml where a scorer has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from dataselect.data.scores import Block, Group, Pool, PoolInfo, Queries, Rows, Scores


class Prepared(NamedTuple):
    """A row scorer that knows its pool and queries.

    Attributes:
        groups: the columns of S.
        score: a block of rows → its block of S: (b g, float32), or `SingleGroup`. Higher is
            better, −∞ is "not a candidate".
    """

    groups: list[Group]
    score: Callable[[Rows], Block]


@dataclass(frozen=True)
class RowScorer:
    """A scorer where a row's scores depend on no other row: it runs in parallel over shards.

    Attributes:
        inputs: the names of the feature arrays it reads.
        prepare: (pool's size and sources, queries or None) → `Prepared`.
        uses_queries: whether it compares rows with queries; else `prepare` is given None.
        columns: the names of the pool's own columns of numbers that it reads.
        checkpoints: how many checkpoints must have measured a row, at least.
    """

    inputs: tuple[str, ...]
    prepare: Callable[[PoolInfo, Queries | None], Prepared]
    uses_queries: bool = False
    columns: tuple[str, ...] = ()
    checkpoints: int = 0


@dataclass(frozen=True)
class PoolScorer:
    """A scorer that sees the pool as a whole, block by block.

    Attributes:
        inputs: the names of the feature arrays it reads.
        score: the pool → the columns of S, and S in blocks of rows.
        columns: the names of the pool's own columns of numbers that it reads.
        copies: how many times it holds the inputs of all rows at its peak, as 4-byte numbers. 2:
            the blocks, and what they are joined to. What does not fit into memory is refused.
    """

    inputs: tuple[str, ...]
    score: Callable[[Pool], Scores]
    columns: tuple[str, ...] = ()
    copies: float = 2


Scorer = RowScorer | PoolScorer
