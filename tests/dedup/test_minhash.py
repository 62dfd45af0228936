"""Bands: their shape, how often similar rows meet in one, and the files they are kept in."""

import sys
from itertools import pairwise

import numpy as np
import pytest

from dataselect.dedup import minhash
from dataselect.dedup.minhash import (
    RECALL,
    VALUES,
    BandFiles,
    band_recall,
    band_shape,
    group_equal,
    load_rensa,
)
from dataselect.dedup.sequences import Sequences, offsets
from tests.helpers import mistake


def rows_of(*sets):
    hashes = [np.asarray(row, dtype=np.int64) for row in sets]
    return Sequences(np.concatenate(hashes), offsets(np.array([len(row) for row in hashes])))


def pairs_of_similarity(similarity, size, count, seed):
    """Pairs of random sets of as many elements each, one after another."""
    rng = np.random.default_rng(seed)
    shared = round(2 * size * similarity / (1 + similarity))
    rows = []
    for _ in range(count):
        values = rng.integers(0, 2**63, 2 * size - shared)
        rows += [values[:size], values[size - shared :]]
    return rows_of(*rows)


def meeting(files):
    """Of pairs (0, 1), (2, 3), …: which share a band."""
    pairs = set()
    for band in range(files.bands):
        for rows, starts in files.buckets(band):
            for first, end in pairwise(starts):
                bucket = set(rows[first:end].tolist())
                pairs |= {row // 2 for row in bucket if row ^ 1 in bucket}
    return pairs


def test_shapes_by_hand():
    assert band_shape(0.8) == (6, 21)  # 1 - (1 - 0.262)^21 = 0.998; with 7, 18: 0.986
    assert band_shape(1.0) == (128, 1)
    assert band_shape(0.5) == (3, 42)
    assert band_recall(0.5, 1, 2) == 0.75


def test_every_shape_reaches_the_recall_and_a_longer_band_does_not():
    for similarity in np.linspace(0.5, 1, 51):
        length, bands = band_shape(similarity)
        assert length * bands <= VALUES
        assert band_recall(similarity, length, bands) >= RECALL
        if length < VALUES:
            assert band_recall(similarity, length + 1, VALUES // (length + 1)) < RECALL


@pytest.mark.parametrize(("similarity", "size"), [(0.8, 18), (0.8, 200), (0.6, 40), (0.95, 39)])
def test_similar_rows_meet_as_often_as_the_formula_says(in_scratch, similarity, size):
    files = BandFiles(in_scratch, similarity)
    files.add(pairs_of_similarity(similarity, size, 1_000, seed=1))
    assert len(meeting(files)) >= 985  # 990 expected at the least; three standard errors: 10


def test_other_rows_seldom_meet(in_scratch):
    files = BandFiles(in_scratch, 0.8)
    files.add(pairs_of_similarity(0.3, 100, 1_000, seed=2))
    assert len(meeting(files)) < 40  # 1 - (1 - 0.3^6)^21 = 0.015


def test_equal_sets_have_equal_signatures_and_repetitions_do_not_count(in_scratch):
    files = BandFiles(in_scratch, 0.8)
    files.add(rows_of([3, 9, 4], [4, 3, 9, 9, 3], [3, 9]))
    files.add(rows_of([9, 4, 3]))
    first, second, third, fourth = files.signatures(np.arange(4))
    assert first == second == fourth != third
    ((rows, starts),) = files.buckets(files.bands)
    assert (rows.tolist(), starts.tolist()) == ([0, 1, 3], [0, 3])


def test_blocks_and_parts_change_nothing(in_scratch, monkeypatch):
    sequences = pairs_of_similarity(0.9, 20, 100, seed=3)

    def found(name, sizes):
        (in_scratch / name).mkdir()
        files = BandFiles(in_scratch / name, 0.8)
        first = 0
        for size in sizes:
            edges = sequences.starts[first : first + size + 1]
            files.add(Sequences(sequences.hashes[edges[0] : edges[-1]], edges - edges[0]))
            first += size
        return meeting(files)

    together = found("a", [200])
    assert len(together) > 90
    assert found("b", [1, 99, 0, 100]) == together
    monkeypatch.setattr(minhash, "_SORTED_TOGETHER", 37)
    assert found("c", [150, 50]) == together


def test_no_rows(in_scratch):
    files = BandFiles(in_scratch, 0.8)
    files.add(Sequences(np.empty(0, np.int64), np.zeros(1, np.int64)))
    assert [(rows.size, starts.tolist()) for rows, starts in files.buckets(0)] == [(0, [0])]


def test_group_equal_by_hand():
    rows, starts = group_equal(np.array([1, 2, 2, 5, 7, 7, 7]), np.arange(10, 17))
    assert (rows.tolist(), starts.tolist()) == ([11, 12, 14, 15, 16], [0, 2, 5])


def test_without_the_library_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "rensa", None)
    assert mistake(load_rensa) == (
        "near_duplicates: `rensa` is not installed. Install it: pip install "
        "'dataselect[near-duplicates]' (also in a clone); or remove `near_duplicates`."
    )
