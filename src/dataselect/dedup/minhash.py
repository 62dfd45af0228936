"""MinHash with bands: rows that share many sequences get equal hashes in some band."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dataselect.dedup.sequences import Sequences, mix_bits, offsets
from dataselect.errors import InputError, install_extra

#: MinHash values of a row.
VALUES = 128

#: The share of the pairs just as similar as asked for that must meet in a band.
RECALL = 0.99

#: Of the hash functions. Not the run's seed: the pool stays the same when that changes.
_SEED = 5

#: Hashes that are sorted at a time: some 100 MB.
_SORTED_TOGETHER = 4_000_000


def load_rensa() -> Any:
    """The library that computes MinHash.

    Raises:
        InputError: it is not installed.
    """
    try:
        import rensa
    except ModuleNotFoundError:
        raise InputError(
            "near_duplicates: `rensa` is not installed. Install it: "
            f"{install_extra('near-duplicates')}; or remove `near_duplicates`."
        ) from None
    return rensa


def band_shape(similarity: float) -> tuple[int, int]:
    """How many values a band has, and how many bands there are.

    Two rows of Jaccard similarity s agree in a value with probability s, so in all r of a band
    with s^r, and in one of b bands at least with 1 - (1 - s^r)^b. The longest bands are taken, for
    the fewest candidates, whose probability at the asked similarity is `RECALL` or more.
    Source: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.
    """
    shapes = [(r, VALUES // r) for r in range(1, VALUES + 1)]
    return max(shape for shape in shapes if band_recall(similarity, *shape) >= RECALL)


def band_recall(similarity: float, values: int, bands: int) -> float:
    """The probability that two rows of this similarity share a band."""
    return 1 - (1 - similarity**values) ** bands


class BandFiles:
    """The rows' band hashes on disk, a file a band; and the hash of all values, as the last band.

    Rows are numbered in the order in which they are added. Memory does not grow with them.

    Args:
        folder: of the files.
        similarity: what the bands are made for: see `band_shape`.
    """

    def __init__(self, folder: Path, similarity: float) -> None:
        self._rensa = load_rensa()
        self._length, self.bands = band_shape(similarity)
        self._paths = [folder / f"band-{number}" for number in range(self.bands + 1)]
        for path in self._paths:
            path.write_bytes(b"")
        self._rows = 0

    def add(self, sequences: Sequences) -> None:
        """Adds the next rows."""
        count = len(sequences.starts) - 1
        if not count:
            return
        matrix = self._rensa.RMinHash.digest_matrix_from_flat_token_hashes(
            sequences.hashes.view(np.uint64), sequences.starts.view(np.uint64), VALUES, _SEED
        )
        values = np.asarray(matrix.to_rows(), dtype=np.uint64)
        for number, path in enumerate(self._paths):
            first = number * self._length
            columns = slice(first, first + self._length) if number < self.bands else slice(None)
            with path.open("ab") as file:
                _combine(values[:, columns]).tofile(file)
        self._rows += count

    def signatures(self, rows: np.ndarray) -> np.ndarray:
        """The hash of all values of some rows: uint64. Equal sets have equal ones."""
        if not len(rows):  # an empty file cannot be mapped
            return np.empty(0, np.uint64)
        return np.memmap(self._paths[-1], dtype=np.uint64, mode="r")[rows]

    def buckets(self, band: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows that share a hash with another.

        Args:
            band: its number; `bands` for the hash of all values.

        Yields:
            rows, bucket after bucket (int64), in each in order; and where the buckets begin and
            the last ends (int64): bucket i has rows[starts[i]:starts[i + 1]].
        """
        parts = self._rows // _SORTED_TOGETHER + 1
        for part in range(parts):
            hashes, rows = self._read(band, part, parts)
            order = np.argsort(hashes, kind="stable")
            yield group_equal(hashes[order], rows[order])

    def _read(self, band: int, part: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """The hashes that leave the remainder `part`, and their rows."""
        hashes, rows, first = [], [], 0
        with self._paths[band].open("rb") as file:
            while (block := np.fromfile(file, np.uint64, _SORTED_TOGETHER // 4)).size:
                chosen = np.flatnonzero(block % np.uint64(parts) == part)
                hashes.append(block[chosen])
                rows.append(chosen + first)
                first += block.size
        none = np.empty(0, np.int64)
        return np.concatenate([none.astype(np.uint64), *hashes]), np.concatenate([none, *rows])


def group_equal(keys: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows whose key another has too, and where each group begins: see `BandFiles.buckets`.

    Args:
        keys: sorted.
        rows: as many.
    """
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.append(first, len(keys)))
    several = sizes > 1
    return rows[np.repeat(several, sizes)], offsets(sizes[several])


def _combine(values: np.ndarray) -> np.ndarray:
    """A hash (uint64) of each line of a matrix."""
    hashes = np.zeros(len(values), dtype=np.uint64)
    for column in values.T:
        hashes = mix_bits(hashes + column + np.uint64(1))
    return hashes
