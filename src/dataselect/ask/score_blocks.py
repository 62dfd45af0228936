"""Reads a table of scores: one row, or all of it in threads, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dataselect.data.scores import Block, SingleGroup, row_count
from dataselect.machine import cores

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

T = TypeVar("T")

#: Numbers of a block: it stays in a processor's cache.
BLOCK_NUMBERS = 2**17
#: Blocks that are worked on at a time.
THREADS = min(cores(), 4)


def fold(path: Path, work: Callable[[int, Block], T]) -> list[T]:
    """Calls a function with every block of S and its first row's number, in threads.

    Args:
        path: a scores table.

    Returns:
        What it returned, in the order of the rows.
    """
    footer = _footer(path)
    sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)

    def run(span: np.ndarray) -> list[T]:
        if not len(span):
            return []
        first, results = int(starts[span[0]]), []
        for block in _read(path, span.tolist()):
            results.append(work(first, block))
            first += row_count(block)
        return results

    spans = np.array_split(np.arange(len(sizes)), THREADS)
    return [result for results in in_threads(run, spans) for result in results]


def in_threads(work: Callable[[Any], T], parts: Sequence[Any]) -> list[T]:
    """What a function returns for every part, in their order; several are worked on at a time."""
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(work, parts))


def read_row(path: Path, row: int) -> tuple[int | None, np.ndarray]:
    """A row's group (None where it is in all) and its scores, without reading the others."""
    with _open(path) as file:
        first = 0
        for number in range(file.num_row_groups):
            size = file.metadata.row_group(number).num_rows
            if row < first + size:
                table = file.read_row_group(number, columns=["group", "score"])
                scores = np.asarray(table["score"][row - first].as_py(), dtype=np.float32)
                return table["group"][row - first].as_py(), scores
            first += size
    raise ValueError(f"{path}: no row {row}")


def shape(path: Path) -> tuple[int, int]:
    """The rows of a table of scores, and the scores of each."""
    with _open(path) as file:
        return file.metadata.num_rows, file.schema_arrow.field("score").type.list_size


def _read(path: Path, row_groups: list[int]) -> Iterator[Block]:
    with _open(path) as file:
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


def _open(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path, pre_buffer=False, metadata=_footer(path))


def _footer(path: Path) -> FileMetaData:
    """What stands at the end of a table: with thousands of row groups, reading it takes a while."""
    stat = path.stat()
    return _read_footer(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_footer(path: Path, *_state: int) -> FileMetaData:
    import pyarrow.parquet as pq

    return pq.read_metadata(path)
