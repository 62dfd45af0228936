"""Where a row stands in every group: one pass over the stored scores, in little memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from dataselect.data.scores import Block, SingleGroup, row_count

T = TypeVar("T")

#: Numbers of a block: it stays in a processor's cache.
BLOCK_NUMBERS = 2**17
#: Blocks are kept for another pass where S has at most so many numbers: 200 MB.
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
        kept: the number of each block's first row, and the block, for another pass; or none.
    """

    scores: np.ndarray
    before: np.ndarray
    chosen: np.ndarray
    chosen_by: np.ndarray
    order: float | None
    order_before: int
    sizes: np.ndarray | None
    sample: np.ndarray
    kept: list[tuple[int, Block]] = []  # noqa: RUF012 - never changed


class Chosen(NamedTuple):
    """The chosen rows in rising order of their numbers: rows and groups, int64, n."""

    rows: np.ndarray
    groups: np.ndarray


def fold(path: Path, work: Callable[[int, Block], T]) -> list[T]:
    """Calls a function with every block of S and its first row's number, in threads.

    Args:
        path: a scores table.

    Returns:
        What it returned, in the order of the rows.
    """
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    spans = np.array_split(np.arange(len(sizes)), min(os.cpu_count() or 1, 4))

    def run(span: np.ndarray) -> list[T]:
        if not len(span):
            return []
        first, results = int(starts[span[0]]), []
        for block in _read(path, span.tolist()):
            results.append(work(first, block))
            first += row_count(block)
        return results

    with ThreadPoolExecutor(len(spans)) as threads:
        return [result for results in threads.map(run, spans) for result in results]


def read_row(path: Path, row: int) -> tuple[int | None, np.ndarray]:
    """A row's group (None where it is in all) and its scores, without reading the others."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        first = 0
        for number in range(file.num_row_groups):
            size = file.metadata.row_group(number).num_rows
            if row < first + size:
                table = file.read_row_group(number, columns=["group", "score"])
                scores = np.asarray(table["score"][row - first].as_py(), dtype=np.float32)
                return table["group"][row - first].as_py(), scores
            first += size
    raise ValueError(f"{path}: no row {row}")


def standing(
    path: Path, row: int, groups: int, chosen: Chosen, order: Order | None, *, keep: bool = False
) -> Standing:
    """Ranks a row in every group.

    Args:
        path: a scores table.
        row: the row's number.
        groups: the number of groups.
        order: what ranks rows whatever their group; None: nothing does.
        keep: whether blocks are kept for another pass, where they are few enough.
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
    keep = keep and _numbers(path) <= KEPT_NUMBERS
    kept: list[tuple[int, Block]] = []

    def count(first: int, block: Block) -> _Counts:
        if keep:
            kept.append((first, block))
        return _count(first, block, ranked, chosen)

    parts = fold(path, count)
    return Standing(
        scores=scores,
        before=np.sum([part.before for part in parts], axis=0),
        chosen=np.sum([part.chosen for part in parts], axis=0),
        chosen_by=np.sum([part.chosen_by for part in parts], axis=0),
        order=None if order is None else float(own_order),
        order_before=sum(part.order_before for part in parts),
        sizes=None if group is None else np.sum([part.sizes for part in parts], axis=0),
        sample=np.concatenate([part.sample for part in parts]),
        kept=sorted(kept, key=lambda part: part[0]),  # threads have read them in no order
    )


def _numbers(path: Path) -> int:
    """How many scores a table has, those of a row's other groups too."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        width = file.schema_arrow.field("score").type.list_size
        return file.metadata.num_rows * width


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


def _count(first: int, block: Block, ranked: _Row, chosen: Chosen) -> _Counts:
    """What a block, from row number `first` on, adds to a `Standing`."""
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
        columns = np.ascontiguousarray(block.T)  # g b: whole columns are compared at a time
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


def _read(path: Path, row_groups: list[int]) -> Iterator[Block]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as file:
        width = file.schema_arrow.field("score").type.list_size
        rows = max(1_024, BLOCK_NUMBERS // width)
        columns = ["group", "score"]
        for batch in file.iter_batches(rows, row_groups, columns, use_threads=False):
            # pyarrow's own `to_numpy` would import pandas first.
            scores = np.from_dlpack(batch.column(1).flatten()).reshape(batch.num_rows, width)
            groups = batch.column(0)
            if groups.null_count:
                yield scores
            else:
                yield SingleGroup(np.from_dlpack(groups), scores[:, 0])
