"""Rows that share a band → groups of near-duplicates, by exact comparison.

Every two rows that share a band are compared, unless they are in one group already: so groups are
those of all similar pairs among them, whatever the order. A bucket of more than `LARGE` rows, such
as thousands of rows of a template, would take the square of that. There rows are compared that
share a *rare* sequence: of two sets of similarity s, each ordered from the rarest sequence on, the
first |x| - ⌈s |x|⌉ + 1 of each have at least one sequence in common. (The prefix filter: Bayardo,
Ma, Srikant, "Scaling up all pairs similarity search", 2007. Any order will do, so rarity is
estimated on a sample.) Nothing is missed by that, but for the second limit: where more than `LARGE`
rows of such a bucket share a rare sequence, all are compared with the first of them only, in an
order that depends on their content. `SimilarRows.limited` counts those groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from dataselect.dedup.minhash import group_equal
from dataselect.dedup.sequence_sets import SequenceSets
from dataselect.dedup.sequences import offsets

#: The largest group of rows in which each is compared with each.
LARGE = 300

#: Pairs that are listed together: some 50 MB.
_PAIRS_TOGETHER = 1_000_000

#: Rare sequences that are sorted together: some 400 MB.
_RARE_TOGETHER = 8_000_000

#: Rows in which sequences are counted.
_SAMPLED = 1_000


class Buckets(NamedTuple):
    """Groups of rows to be compared: bucket i has rows[starts[i]:starts[i + 1]] (int64 both)."""

    rows: np.ndarray
    starts: np.ndarray

    def where(self, chosen: np.ndarray) -> Buckets:
        """Some of the buckets: bool, one for each."""
        sizes = np.diff(self.starts)
        return Buckets(self.rows[np.repeat(chosen, sizes)], offsets(sizes[chosen]))


class SimilarRows:
    """Groups of rows, joined pair by similar pair.

    Args:
        sets: of the rows.
        similarity: the Jaccard similarity from which on two rows are joined.

    Attributes:
        limited: how many groups of rows were compared with their first only.
    """

    def __init__(self, sets: SequenceSets, similarity: float) -> None:
        self._sets, self._similarity = sets, similarity
        self._parents = np.arange(len(sets.sizes))
        self.limited = 0

    def first_rows(self, rows: np.ndarray) -> np.ndarray:
        """The first row of the group of each row: int64."""
        found = self._parents[rows]
        while not np.array_equal(further := self._parents[found], found):
            found = further
        self._parents[rows] = found  # the next search takes a single step
        return found

    def join_equal(self, buckets: Buckets) -> None:
        """Joins rows with the first of their bucket where their sets are equal."""
        self._compare(_with_first(buckets), 1.0)

    def join_similar(self, buckets: Buckets) -> None:
        """Joins the similar rows of every bucket.

        Args:
            buckets: the order in each depends on the rows' content only.
        """
        for large in self._compare_small(buckets):
            for rare in self._with_rare_sequence(large):
                self.limited += sum(1 for _ in self._compare_small(rare))

    def _compare_small(self, buckets: Buckets) -> Iterator[np.ndarray]:
        """Compares all rows with the first of their bucket, and in small ones each with each.

        Yields the rows of the large buckets that are not a single group after that.
        """
        self._compare(_with_first(buckets), self._similarity)
        buckets = self._disconnected(buckets)
        sizes = np.diff(buckets.starts)
        for size in np.unique(sizes[sizes <= LARGE]):
            starts = buckets.starts[:-1][sizes == size]
            same_size = buckets.rows[starts[:, None] + np.arange(size)]
            left, right = np.triu_indices(size, 1)
            together = _PAIRS_TOGETHER // len(left)
            for first in range(0, len(same_size), together):
                block = same_size[first : first + together]
                pairs = np.stack([block[:, left], block[:, right]], axis=-1)
                self._compare(pairs.reshape(-1, 2), self._similarity)
        large = self._disconnected(buckets.where(sizes > LARGE))
        yield from np.split(large.rows, large.starts[1:-1]) if len(large.rows) else ()

    def _disconnected(self, buckets: Buckets) -> Buckets:
        """The buckets with rows of several groups."""
        if not len(buckets.rows):
            return buckets
        groups, starts = self.first_rows(buckets.rows), buckets.starts[:-1]
        lowest, highest = np.minimum.reduceat(groups, starts), np.maximum.reduceat(groups, starts)
        return buckets.where(lowest != highest)

    def _compare(self, pairs: np.ndarray, similarity: float) -> None:
        """Joins the pairs of rows (int64, b x 2) that are at least so similar."""
        keys = np.unique(pairs.min(axis=1) * len(self._parents) + pairs.max(axis=1))
        pairs = np.stack(np.divmod(keys, len(self._parents)), axis=1)
        sizes = np.sort(self._sets.sizes[pairs], axis=1)
        # No set is more similar to another than the quotient of their sizes.
        pairs = pairs[(sizes[:, 0] >= similarity * sizes[:, 1] - 1e-6) & (sizes[:, 0] > 0)]
        pairs = self._apart(pairs)
        for portion in self._sets.portions(pairs):
            apart = self._apart(pairs[portion])
            if len(apart):
                self._join(apart[self._sets.jaccard(apart) >= similarity])

    def _apart(self, pairs: np.ndarray) -> np.ndarray:
        """The pairs that are not in one group yet."""
        groups = self.first_rows(pairs)
        return pairs[groups[:, 0] != groups[:, 1]]

    def _join(self, pairs: np.ndarray) -> None:
        parents = self._parents

        def first_row(row: int) -> int:
            while (parent := parents[row]) != row:
                parents[row] = parents[parent]  # the next way is half as long
                row = parent
            return row

        for left, right in pairs.tolist():
            first, second = first_row(left), first_row(right)
            parents[max(first, second)] = min(first, second)

    def _with_rare_sequence(self, rows: np.ndarray) -> Iterator[Buckets]:
        """Buckets of the rows that share one of their rarest sequences; see above.

        The sequences are divided by their hashes, so that those of a part fit into memory.
        """
        sample = self._sets.read(rows[:_SAMPLED]).hashes
        known, counts = np.unique(sample, return_counts=True)

        def frequency(hashes: np.ndarray) -> np.ndarray:
            place = np.minimum(np.searchsorted(known, hashes), max(len(known) - 1, 0))
            return np.where(known[place] == hashes, counts[place], 0)

        parts = int(self._rare_counts(rows).sum()) // _RARE_TOGETHER + 1
        for part in range(parts):
            blocks = [
                self._rare_sequences(rows[portion], frequency, part, parts)
                for portion in self._sets.portions(rows)
            ]
            hashes, owners = (np.concatenate(column) for column in zip(*blocks, strict=True))
            order = np.argsort(hashes, kind="stable")
            yield Buckets(*group_equal(hashes[order], owners[order]))

    def _rare_counts(self, rows: np.ndarray) -> np.ndarray:
        """How many of their sequences similar rows must share one of: int64."""
        sizes = self._sets.sizes[rows].astype(np.int64)
        return sizes - np.ceil(self._similarity * sizes - 1e-6).astype(np.int64) + 1

    def _rare_sequences(
        self,
        rows: np.ndarray,
        frequency: Callable[[np.ndarray], np.ndarray],
        part: int,
        parts: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rarest sequences of rows, of those whose hash leaves a remainder; and their rows."""
        hashes, starts = self._sets.read(rows)
        row = np.repeat(np.arange(len(rows)), np.diff(starts))
        order = np.lexsort((hashes, frequency(hashes), row))
        rank = np.arange(len(hashes)) - starts[row]
        chosen = order[rank < self._rare_counts(rows)[row]]
        chosen = chosen[hashes[chosen] % parts == part]
        return hashes[chosen], rows[row[chosen]]


def _with_first(buckets: Buckets) -> np.ndarray:
    """All pairs of a row with the first of its bucket: int64, b x 2."""
    sizes = np.diff(buckets.starts)
    first = np.repeat(buckets.rows[buckets.starts[:-1]], sizes)
    others = np.ones(len(buckets.rows), dtype=bool)
    others[buckets.starts[:-1]] = False
    return np.stack([first, buckets.rows], axis=1)[others]
