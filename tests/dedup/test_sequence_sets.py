"""Sets on disk, and the Jaccard similarity of pairs, against Python's sets."""

import numpy as np
import pytest

from dataselect.dedup import sequence_sets
from dataselect.dedup.sequence_sets import SequenceSets
from dataselect.dedup.sequences import Sequences, offsets


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return [set(rng.integers(0, 30, rng.integers(0, 25)).tolist()) for _ in range(60)]


def stored(folder, rows, blocks):
    """The rows of an odd number, added in blocks, in a pool of as many again."""
    sets = SequenceSets(folder / "sets", 2 * len(rows))
    for block in np.array_split(np.arange(len(rows)), blocks):
        lists = [sorted(rows[i], reverse=True) * 2 for i in block]  # unsorted, with repetitions
        starts = offsets(np.array([len(row) for row in lists]))
        hashes = np.array([value for row in lists for value in row], dtype=np.int64)
        sets.add(2 * block + 1, Sequences(hashes, starts))
    return sets


def jaccard(left, right):
    return len(left & right) / len(left | right) if left | right else 0


def test_similarities_are_those_of_plain_sets(in_scratch, rows):
    sets = stored(in_scratch, rows, 4)
    assert sets.sizes[1::2].tolist() == [len(row) for row in rows]
    assert not sets.sizes[::2].any()
    left, right = np.triu_indices(len(rows))
    found = sets.jaccard(np.stack([2 * left + 1, 2 * right + 1], axis=1))
    assert found.tolist() == [jaccard(rows[i], rows[j]) for i, j in zip(left, right, strict=True)]


def test_rows_are_read_in_any_order(in_scratch, rows):
    sets = stored(in_scratch, rows, 3)
    hashes, starts = sets.read(np.array([41, 3, 0, 41]))
    assert (
        starts.tolist()
        == np.cumsum([0, *(len(rows[i]) for i in (20, 1)), 0, len(rows[20])]).tolist()
    )
    assert hashes.tolist() == sorted(rows[20]) + sorted(rows[1]) + sorted(rows[20])


def test_portions_are_small_and_leave_nothing_out(in_scratch, rows, monkeypatch):
    sets = stored(in_scratch, rows, 1)
    monkeypatch.setattr(sequence_sets, "SEQUENCES_TOGETHER", 40)
    for chosen in (np.arange(120), np.random.default_rng(1).integers(0, 120, (50, 2))):
        parts = [chosen[portion] for portion in sets.portions(chosen)]
        assert np.concatenate(parts).tolist() == chosen.tolist()
        assert max(sets.sizes[part].sum() for part in parts) <= 40 + 2 * max(map(len, rows))
        assert len(parts) > 10
    assert list(sets.portions(np.empty((0, 2), np.int64))) == []
