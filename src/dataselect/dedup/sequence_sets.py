"""Sets of sequences, on disk, and the exact Jaccard similarity of pairs of rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dataselect.dedup.sequences import Sequences, offsets, unique_in_rows

#: Sequences that are held at a time: some 100 MB.
SEQUENCES_TOGETHER = 2_000_000


class SequenceSets:
    """A file of sets; memory holds 12 bytes for each row of the pool.

    Args:
        path: the file.
        rows: how many rows the pool has.

    Attributes:
        sizes: of the sets that were added, 0 for other rows: int32, n.
    """

    def __init__(self, path: Path, rows: int) -> None:
        self._path = path
        path.write_bytes(b"")
        self.sizes = np.zeros(rows, dtype=np.int32)
        self._starts = np.zeros(rows, dtype=np.int64)
        self._end = 0

    def add(self, rows: np.ndarray, sequences: Sequences) -> None:
        """Adds the sets of some rows; sequences may repeat within a row."""
        sets = unique_in_rows(sequences)
        self.sizes[rows] = np.diff(sets.starts)
        self._starts[rows] = sets.starts[:-1] + self._end
        self._end += len(sets.hashes)
        with self._path.open("ab") as file:
            sets.hashes.tofile(file)

    def read(self, rows: np.ndarray) -> Sequences:
        """The sets of some rows, each sorted."""
        starts = offsets(self.sizes[rows])
        hashes = np.empty(starts[-1], dtype=np.int64)
        target = hashes.view(np.uint8).data
        with self._path.open("rb", buffering=0) as file:
            for row, first, end in zip(rows, starts[:-1] * 8, starts[1:] * 8, strict=True):
                file.seek(self._starts[row] * 8)
                file.readinto(target[first:end])
        return Sequences(hashes, starts)

    def portions(self, rows: np.ndarray) -> Iterator[slice]:
        """Consecutive parts of rows, or of pairs of rows, that fit into memory.

        Args:
            rows: int64, b; or b x 2 for pairs.
        """
        if not len(rows):
            return
        sizes = self.sizes[rows].reshape(len(rows), -1).sum(axis=1, dtype=np.int64)
        portion = np.cumsum(sizes) // SEQUENCES_TOGETHER
        edges = np.flatnonzero(np.diff(portion, prepend=-1, append=-1))
        for first, end in pairwise(edges):
            yield slice(first, end)

    def jaccard(self, pairs: np.ndarray) -> np.ndarray:
        """The Jaccard similarity of pairs of rows: float64, b. That of two empty sets is 0.

        Args:
            pairs: rows: int64, b x 2; no more than `portions` says.
        """
        rows, places = np.unique(pairs, return_inverse=True)
        sets = _matrix(self.read(rows))
        left, right = places.reshape(-1, 2).T
        shared = np.diff(sets[left].multiply(sets[right]).indptr)
        union = self.sizes[pairs].sum(axis=1, dtype=np.int64) - shared
        return shared / np.maximum(union, 1)


def _matrix(sets: Sequences) -> Any:
    """The sets as rows of a sparse matrix with a 1 in the column of each hash."""
    from scipy.sparse import csr_array

    shape = (len(sets.starts) - 1, np.iinfo(np.int64).max)
    ones = np.ones(len(sets.hashes), dtype=np.int8)
    matrix = csr_array((ones, sets.hashes, sets.starts), shape=shape)
    matrix.has_canonical_format = True  # sorted and without repetitions: needn't be checked
    return matrix
