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
    """The queries: task, id and subtask (m; None where a task is one), and their features (m …)."""

    task: list[str]
    id: list[str]
    features: dict[str, np.ndarray]
    subtask: list[str | None] = field(default_factory=list)


class Group(NamedTuple):
    """A column of S: its name, the task it belongs to, if any, and the source that it is part of.

    A group without a parent is none's part.
    """

    name: str
    task: str | None
    source: str | None = None


class SingleGroup(NamedTuple):
    """A block of S where every row is in one group only: its number and its score there (b).

    −∞ in every other column, which is why they are not written out: sources and clusters may be
    thousands.
    """

    group: np.ndarray
    score: np.ndarray


#: A block of consecutive rows of S: b g, float32; or their parts.
Block = np.ndarray | SingleGroup


class Scores(NamedTuple):
    """The columns of S, and S itself in blocks of rows."""

    groups: list[Group]
    blocks: Iterator[Block]


def finite_rows(features: dict[str, np.ndarray], names: Iterable[str]) -> np.ndarray:
    """The rows (bool, b) of whose named features every number is finite."""
    answer = np.ones(len(next(iter(features.values()))), dtype=bool)
    for name in names:
        array = features[name]
        if array.dtype.kind == "f" and array.size:
            answer &= _finite(np.ascontiguousarray(array).reshape(len(array), -1))
    return answer


def _finite(rows: np.ndarray) -> np.ndarray:
    """Which rows (b d, floats) have only finite numbers.

    By their bits, several times as fast as by their values in 16 bits: without its sign, no finite
    number is as large as ∞.
    """
    bits = np.dtype(f"u{rows.dtype.itemsize}").type
    infinite = np.array(np.inf, dtype=rows.dtype).view(bits)
    magnitude = rows.view(bits) & bits(np.iinfo(bits).max >> 1)
    return magnitude.max(axis=1) < infinite
