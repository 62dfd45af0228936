"""The score matrix: what a scorer is given, and what it gives.

`S[row, group]` (float32): higher is better, −∞ is "not a candidate". It streams: neither a scorer
nor what reads it needs to hold all rows, and most do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Rows:
    """A block of consecutive pool rows: ids and sources (b), and features by name (b …)."""

    id: list[str]
    source: list[str]
    features: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """The pool: how many rows, the names of its sources in order, and its rows, block by block."""

    height: int
    sources: list[str]
    blocks: Iterable[Rows]


@dataclass(frozen=True)
class Queries:
    """The queries: task and id of each (m), and their features by name (m …)."""

    task: list[str]
    id: list[str]
    features: dict[str, np.ndarray]


class Group(NamedTuple):
    """A column of S: its name, and the task it belongs to, if any."""

    name: str
    task: str | None


class Scores(NamedTuple):
    """The columns of S, and S itself in blocks of rows: b g, float32."""

    groups: list[Group]
    blocks: Iterator[np.ndarray]
