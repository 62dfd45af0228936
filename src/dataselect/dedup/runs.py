"""Finds runs of words that are known beforehand in other texts: by hashes, and then by words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dataselect.dedup.words import ranges

#: An odd number, so that its powers have inverses modulo 2⁶⁴.
FACTOR = 0x9E3779B97F4A7C15

#: Bytes of the first filter for each run, and at most.
SLOTS_PER_RUN, MAX_SLOTS = 16, 2**26

#: Places of runs that are compared at a time: some tens of MB.
CANDIDATES = 2**20

#: Positions in texts, and the runs that stand there; both int64, of one length.
Places = tuple[np.ndarray, np.ndarray]


class _Keys(NamedTuple):
    """The runs whose keys have one length.

    Attributes:
        hashes: the keys' different hashes, sorted: uint64, h.
        starts: where the runs of each hash begin in `runs`, and the end of the last: int64, h + 1.
        runs: all runs, in the order of their hashes.
        slots: the filter: whether a hash begins with these bits; bool.
    """

    hashes: np.ndarray
    starts: np.ndarray
    runs: np.ndarray
    slots: np.ndarray


class RunIndex:
    """Where given runs of words stand in other texts.

    A run's key is its beginning. Hashes of 64 bits find the keys; every find is then compared word
    by word, so that equal hashes of different words change nothing.

    Args:
        ids: texts as numbers of words, from 0 on; -1 is in no run.
        starts: where each run begins in `ids`: int64, n.
        lengths: its words, at least 1: int64, n.
        key_words: the most words of a key.
        codes: a random number for every word: see `word_codes`.
    """

    def __init__(
        self,
        ids: np.ndarray,
        starts: np.ndarray,
        lengths: np.ndarray,
        key_words: int,
        codes: np.ndarray,
    ) -> None:
        self._ids, self._starts, self._lengths = ids, starts, lengths
        self._codes = codes
        key_lengths = np.minimum(lengths, key_words)
        self._keys: dict[int, _Keys] = {}
        different = np.unique(key_lengths).tolist()
        for length, hashes in _rolling_hashes(codes[ids], different):
            runs = np.flatnonzero(key_lengths == length)
            runs = runs[np.argsort(hashes[starts[runs]], kind="stable")]
            self._keys[length] = _make_keys(hashes[starts[runs]], runs)

    def find(self, ids: np.ndarray) -> Places:
        """Every place of a run, in the order of the keys' lengths, then of the positions.

        Args:
            ids: texts as numbers of words, of the same vocabulary; -1 for every other word, and
                between two texts.
        """
        found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
        if not self._keys:
            return found[0]
        for length, hashes in _rolling_hashes(self._codes[ids], list(self._keys)):
            for positions, runs in _candidates(hashes, self._keys[length]):
                equal = self._stand_at(ids, positions, runs)
                found.append((positions[equal], runs[equal]))
        positions, runs = zip(*found, strict=True)
        return np.concatenate(positions), np.concatenate(runs)

    def _stand_at(self, ids: np.ndarray, positions: np.ndarray, runs: np.ndarray) -> np.ndarray:
        """Whether each run stands at its position, word by word: bool."""
        starts, lengths = self._starts[runs], self._lengths[runs]
        equal = positions + lengths <= len(ids)
        for offset in range(int(lengths.max(initial=0))):
            rest = np.flatnonzero(equal & (lengths > offset))
            equal[rest] = ids[positions[rest] + offset] == self._ids[starts[rest] + offset]
        return equal


def word_codes(count: int) -> np.ndarray:
    """A random number for each word of a vocabulary and, last, for every other one: uint64."""
    return np.random.default_rng(0).integers(2**64, size=count + 1, dtype=np.uint64)


def _rolling_hashes(codes: np.ndarray, lengths: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """For each length, the hash of so many words from every position on: uint64.

    The hash is polynomial: Σ code · FACTORⁱ, divided by the power at the first word. From the sums
    up to every position, those of any length are two operations.
    """
    powers, inverses = (
        np.multiply.accumulate(np.r_[np.uint64(1), np.full(len(codes), factor, np.uint64)])
        for factor in (FACTOR, pow(FACTOR, -1, 2**64))
    )
    sums = np.r_[np.uint64(0), np.cumsum(codes * powers[:-1], dtype=np.uint64)]
    for length in lengths:
        count = max(0, len(codes) - length + 1)
        yield length, (sums[length : length + count] - sums[:count]) * inverses[:count]


def _make_keys(hashes: np.ndarray, runs: np.ndarray) -> _Keys:
    """Args: the keys' hashes, sorted, and their runs."""
    bits = min(len(runs) * SLOTS_PER_RUN, MAX_SLOTS - 1).bit_length()
    slots = np.zeros(1 << bits, dtype=bool)
    slots[_slots(hashes, slots)] = True
    different, starts = np.unique(hashes, return_index=True)
    return _Keys(different, np.append(starts, len(runs)), runs, slots)


def _slots(hashes: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """The slot of each hash: its highest bits."""
    return hashes >> np.uint64(64 - (len(slots).bit_length() - 1))


def _candidates(hashes: np.ndarray, keys: _Keys) -> Iterator[Places]:
    """The places where a key's hash stands, some at a time."""
    positions = np.flatnonzero(keys.slots[_slots(hashes, keys.slots)])
    hashes = hashes[positions]
    numbers = np.minimum(np.searchsorted(keys.hashes, hashes), len(keys.hashes) - 1)
    known = np.flatnonzero(keys.hashes[numbers] == hashes)
    positions, numbers = positions[known], numbers[known]
    first, counts = keys.starts[numbers], keys.starts[numbers + 1] - keys.starts[numbers]
    for part in parts(counts, CANDIDATES):
        yield (
            np.repeat(positions[part], counts[part]),
            keys.runs[ranges(first[part], counts[part])],
        )


def parts(sizes: np.ndarray, limit: int) -> Iterator[slice]:
    """Slices of consecutive items whose sizes add up to about the limit, or of a single item."""
    before = np.cumsum(sizes) - sizes
    edges = np.flatnonzero(np.diff(before // limit)) + 1
    for first, end in zip([0, *edges], [*edges, len(sizes)], strict=True):
        yield slice(int(first), int(end))
