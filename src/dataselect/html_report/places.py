"""Every row's group, score and rank, and the rows that each group nearly chose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataselect.ask.score_blocks import fold
from dataselect.ask.standing import Chosen
from dataselect.data.scores import Block, SingleGroup

#: Numbers of S that are held at a time, but at least a whole column.
HELD = 2**25
#: Rows that a group nearly chose: so many of each.
NEAR = 10


class NearMiss(NamedTuple):
    """A row that was not chosen, and is among the best such rows of a group."""

    row: int
    score: float
    rank: int


class Places(NamedTuple):
    """Where the rows stand.

    Attributes:
        group: the group that chose the row; of others, the one in which it ranks best: int32, n;
            −1 where it is a candidate in none.
        score: in that group: float32, n; NaN without one.
        rank: in that group, from 1; equal scores rank by row number: int32, n; 0 without one.
        near: the best rows of every group that were not chosen.
    """

    group: np.ndarray
    score: np.ndarray
    rank: np.ndarray
    near: list[list[NearMiss]]


def row_places(path: Path, rows: int, groups: int, chosen: Chosen) -> Places:
    """Finds every row's place: passes over S with as many columns as fit into memory.

    Args:
        path: a scores table.
        rows: how many there are.
        groups: how many columns S has.
    """
    found = Places(
        np.full(rows, -1, np.int32),
        np.full(rows, np.nan, np.float32),
        np.zeros(rows, np.int32),
        [[] for _ in range(groups)],
    )
    by = np.full(rows, -1, np.int64)
    by[chosen.rows] = chosen.groups
    for group, members, scores in _columns(path, rows, groups):
        candidates = np.flatnonzero(scores > -np.inf)
        order = candidates[np.argsort(-scores[candidates], kind="stable")]
        numbers = members[order]
        rank = np.arange(1, len(order) + 1, dtype=np.int32)
        better = (found.rank[numbers] == 0) | (rank < found.rank[numbers])
        wanted = np.where(by[numbers] >= 0, by[numbers] == group, better)
        shown = numbers[wanted]
        found.group[shown], found.rank[shown] = group, rank[wanted]
        found.score[shown] = scores[order][wanted]
        near = np.flatnonzero(by[numbers] < 0)[:NEAR]
        found.near[group].extend(
            NearMiss(int(numbers[place]), float(scores[order[place]]), int(place) + 1)
            for place in near
        )
    return found


def no_places(rows: int, groups: int) -> Places:
    """The places of rows without scores."""
    empty: list[list[NearMiss]] = [[] for _ in range(groups)]
    nowhere, unknown = np.full(rows, -1, np.int32), np.full(rows, np.nan, np.float32)
    return Places(nowhere, unknown, np.zeros(rows, np.int32), empty)


def _columns(path: Path, rows: int, groups: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Every group with its rows' numbers, rising, and their scores (float32)."""
    count = max(1, HELD // max(rows, 1))
    for first in range(0, groups, count):
        parts = fold(path, lambda _, block, first=first: _part(block, first, first + count))
        if parts and isinstance(parts[0], SingleGroup):
            yield from _single(
                np.concatenate([part.group for part in parts if isinstance(part, SingleGroup)]),
                np.concatenate([part.score for part in parts if isinstance(part, SingleGroup)]),
                groups,
            )
            return
        held = np.concatenate([part for part in parts if isinstance(part, np.ndarray)])
        everyone = np.arange(len(held))
        for column in range(held.shape[1]):
            yield first + column, everyone, np.ascontiguousarray(held[:, column])


def _part(block: Block, first: int, end: int) -> Block:
    if isinstance(block, SingleGroup):
        return SingleGroup(block.group.copy(), block.score.copy())
    return block[:, first:end].copy()


def _single(
    group: np.ndarray, score: np.ndarray, groups: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    order = np.argsort(group, kind="stable")
    ends = np.cumsum(np.bincount(group, minlength=groups))
    for number, members in enumerate(np.split(order, ends[:-1])):
        yield number, members, score[members]
