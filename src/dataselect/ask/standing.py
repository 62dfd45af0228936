"""Where a row stands in every group: one pass over the stored scores, in little memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataselect.ask.score_blocks import fold, read_row, shape
from dataselect.data.scores import Block, SingleGroup, row_count

#: S is kept for another pass where it has at most so many numbers: 200 MB.
KEPT_NUMBERS = 50_000_000
#: One row in so many is kept as a sample, to estimate where a group's best rows begin.
SAMPLED = 64

#: A block of S → a column of it by which rows are ranked whatever their group: float32, b.
Order = Callable[[Block], np.ndarray]


class Standing(NamedTuple):
    """A row's place among all rows, from 1; equal scores rank by row number.

    Attributes:
        scores: of the row: float32, g; −∞ where it is no candidate.
        before: how many rows rank before it in every group: int64, g.
        chosen: how many of those were chosen: int64, g.
        chosen_by: how many of those the group itself chose: int64, g.
        order: its number in the order of all groups; None without an order.
        order_before: how many rows rank before it there.
        sizes: the candidates of every group, where each row is in one only; else None.
        sample: the scores of some rows: float32, n g; empty where each row is in one group.
        kept: S by groups, for another pass: float32, g n; or None.
    """

    scores: np.ndarray
    before: np.ndarray
    chosen: np.ndarray
    chosen_by: np.ndarray
    order: float | None
    order_before: int
    sizes: np.ndarray | None
    sample: np.ndarray
    kept: np.ndarray | None = None


class Chosen(NamedTuple):
    """The chosen rows in rising order of their numbers: rows and groups, int64, n."""

    rows: np.ndarray
    groups: np.ndarray


def standing(
    path: Path, row: int, groups: int, chosen: Chosen, order: Order | None, *, keep: bool = False
) -> Standing:
    """Ranks a row in every group.

    Args:
        path: a scores table.
        row: the row's number.
        groups: the number of groups.
        order: what ranks rows whatever their group; None: nothing does.
        keep: whether S is kept for another pass, where it is small enough.
    """
    group, own = read_row(path, row)
    scores = own if group is None else np.full(groups, -np.inf, dtype=np.float32)
    scores = scores.copy()
    if group is not None:
        scores[group] = own[0]
    own_order = np.float32(-np.inf)
    if order is not None:
        block = own[None] if group is None else SingleGroup(np.asarray([group]), own)
        own_order = np.float32(order(block)[0])
    ranked = _Row(row, scores, order, own_order)
    rows, width = shape(path)
    keep = keep and group is None and rows * width <= KEPT_NUMBERS
    # One array: the system gives it in large pages, and blocks in small ones, which takes longer.
    kept = np.empty((groups, rows), dtype=np.float32) if keep else None
    parts = fold(path, lambda first, block: _count(first, block, ranked, chosen, kept))
    return Standing(
        scores=scores,
        before=np.sum([part.before for part in parts], axis=0),
        chosen=np.sum([part.chosen for part in parts], axis=0),
        chosen_by=np.sum([part.chosen_by for part in parts], axis=0),
        order=None if order is None else float(own_order),
        order_before=sum(part.order_before for part in parts),
        sizes=None if group is None else np.sum([part.sizes for part in parts], axis=0),
        sample=np.concatenate([part.sample for part in parts]),
        kept=kept,
    )


class _Row(NamedTuple):
    """The row that is ranked: its number, its scores, an order and its number in that."""

    row: int
    scores: np.ndarray
    order: Order | None
    own_order: np.float32


class _Counts(NamedTuple):
    """What a block adds to a `Standing`."""

    before: np.ndarray
    chosen: np.ndarray
    chosen_by: np.ndarray
    order_before: int
    sizes: np.ndarray
    sample: np.ndarray


def _count(
    first: int, block: Block, ranked: _Row, chosen: Chosen, kept: np.ndarray | None
) -> _Counts:
    """What a block, from row number `first` on, adds to a `Standing`; keeps it in `kept`."""
    own, groups = ranked.scores, len(ranked.scores)
    count = row_count(block)
    lower = int(np.clip(ranked.row - first, 0, count))  # rows before the row win ties with it
    start, end = np.searchsorted(chosen.rows, (first, first + count))
    places, by = chosen.rows[start:end] - first, chosen.groups[start:end]
    sizes, sample = np.zeros(groups, dtype=np.int64), np.empty((0, groups), dtype=np.float32)
    if isinstance(block, SingleGroup):
        mask = _ranks_before(block.score, own[block.group], lower) & (block.score > -np.inf)
        before = np.bincount(block.group[mask], minlength=groups)
        picked = mask[places]
        of_chosen = np.bincount(block.group[places][picked], minlength=groups)
        by_group = np.bincount(by[picked & (by == block.group[places])], minlength=groups)
        sizes += np.bincount(block.group[block.score > -np.inf], minlength=groups)
    else:
        # g b: whole columns are compared at a time
        if kept is None:
            columns = np.ascontiguousarray(block.T)
        else:
            columns = kept[:, first : first + count]
            columns[:] = block.T
        early, late = columns[:, :lower] >= own[:, None], columns[:, lower:] > own[:, None]
        before = np.asarray([np.count_nonzero(column) for column in early])
        before += np.asarray([np.count_nonzero(column) for column in late])
        chosen_before = _ranks_before(block[places], own, int(np.searchsorted(places, lower)))
        of_chosen = np.asarray(chosen_before.sum(axis=0))
        by_group = np.bincount(by[chosen_before[np.arange(len(by)), by]], minlength=groups)
        sample = block[-first % SAMPLED :: SAMPLED].copy()
    order_before = 0
    if ranked.order is not None:
        column = ranked.order(block)
        mask = _ranks_before(column, ranked.own_order, lower) & (column > -np.inf)
        order_before = int(np.count_nonzero(mask))
    return _Counts(before, of_chosen, by_group, order_before, sizes, sample)


def _ranks_before(scores: np.ndarray, own: np.ndarray | np.float32, lower: int) -> np.ndarray:
    """Which scores rank before the row's own: of equals, those of the first `lower`."""
    mask = scores > own
    mask[:lower] |= (scores == own)[:lower]
    return mask
