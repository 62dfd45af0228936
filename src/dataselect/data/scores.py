"""The score matrix: what a scorer is given, and what it gives.

`S[row, group]` (float32): higher is better, −∞ is "not a candidate". It streams in blocks of rows:
neither a scorer nor an aggregator has to hold it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Rows:
    """A block of consecutive pool rows.

    Attributes:
        id: of the rows: b.
        source: of the rows: b.
        features: by name: b ….
        columns: the pool's own columns that the scorer names: float64, b; null is NaN.
    """

    id: list[str]
    source: list[str]
    features: dict[str, np.ndarray] = field(default_factory=dict)
    columns: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class PoolInfo:
    """What is known of a pool before its rows are read.

    Attributes:
        row_count: the number of its rows.
        sources: the names of its sources, in alphabetical order.
    """

    row_count: int
    sources: list[str]


@dataclass(frozen=True)
class Pool:
    """The whole pool: what is known before its rows are read, and its rows, block by block."""

    info: PoolInfo
    blocks: Iterable[Rows]


@dataclass(frozen=True)
class Queries:
    """The queries: task, id and subtask (m; None where a task has none), and features (m …)."""

    task: list[str]
    id: list[str]
    features: dict[str, np.ndarray]
    subtask: list[str | None] = field(default_factory=list)


class Group(NamedTuple):
    """A column of S.

    Attributes:
        name: of a query, a task, a source, a cluster, or `pool`.
        task: the task it belongs to, or None.
        source: the source it is a part of (the column `parent` of groups.parquet), or None.
    """

    name: str
    task: str | None
    source: str | None = None


class SingleGroup(NamedTuple):
    """A block of S where every row is in one group only, as with sources and clusters.

    The other columns are −∞ and not written out: there may be thousands.

    Attributes:
        group: the group's number: int64, b.
        score: the score in that group: float32, b.
    """

    group: np.ndarray
    score: np.ndarray


#: A block of consecutive rows of S: b g, float32; or one group and score a row.
Block = np.ndarray | SingleGroup


def row_count(block: Block) -> int:
    """The number of rows of a block."""
    return len(block.group if isinstance(block, SingleGroup) else block)


class Scores(NamedTuple):
    """The columns of S, and S itself in blocks of rows."""

    groups: list[Group]
    blocks: Iterator[Block]


def finite_rows(features: dict[str, np.ndarray], names: Iterable[str]) -> np.ndarray:
    """Which rows (bool, b) have only finite numbers in the named features."""
    finite = np.ones(len(next(iter(features.values()))), dtype=bool)
    for name in names:
        array = features[name]
        if array.dtype.kind == "f" and array.size:
            finite &= _finite(np.ascontiguousarray(array).reshape(len(array), -1))
    return finite


def _finite(rows: np.ndarray) -> np.ndarray:
    """Which rows (b d, floats) have only finite numbers.

    Compares their bits: without its sign, no finite number is as large as ∞. For 16-bit floats
    this is several times as fast as `np.isfinite`. A few rows at a time stay in a core's cache.
    """
    bits = np.dtype(f"u{rows.dtype.itemsize}").type
    infinite = np.array(np.inf, dtype=rows.dtype).view(bits)
    finite = np.empty(len(rows), dtype=bool)
    few = max(1, 65_536 // rows.shape[1])
    for first in range(0, len(rows), few):
        part = slice(first, first + few)
        magnitude = rows[part].view(bits) & bits(np.iinfo(bits).max >> 1)
        np.less(magnitude.max(axis=1), infinite, out=finite[part])
    return finite
