"""Groups of similar rows, against the connected components of all pairs compared plainly."""

import numpy as np
import pytest

from dataselect.dedup import similar_rows
from dataselect.dedup.sequence_sets import SequenceSets
from dataselect.dedup.sequences import Sequences, offsets
from dataselect.dedup.similar_rows import Buckets, SimilarRows


def similar(folder, rows, similarity=0.8):
    sets = SequenceSets(folder / "sets", len(rows))
    starts = offsets(np.array([len(row) for row in rows]))
    hashes = np.array([value for row in rows for value in row], dtype=np.int64)
    sets.add(np.arange(len(rows)), Sequences(hashes, starts))
    return SimilarRows(sets, similarity)


def bucket(*groups):
    """Buckets of these rows."""
    rows = np.array([row for group in groups for row in group], dtype=np.int64)
    return Buckets(rows, offsets(np.array([len(group) for group in groups])))


def components(rows, similarity):
    """Of each row the first of its component, by comparing all."""
    first = list(range(len(rows)))
    for i, left in enumerate(rows):
        for j, right in enumerate(rows[:i]):
            if left and len(left & right) / len(left | right) >= similarity:
                old, new = max(first[i], first[j]), min(first[i], first[j])
                first = [new if group == old else group for group in first]
    return first


def families(count, size, seed):
    """Rows of a few templates: near-copies, chains of them, and rows just too different."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        template = number % 4 * 1_000 + np.arange(size)
        changed = rng.choice(size, rng.integers(0, size // 4), replace=False)
        template[changed] = rng.integers(0, 3 if number % 2 else 10**9, len(changed)) + 10**6
        rows.append(set(template.tolist()))
    return rows


def test_a_chain_is_one_group_and_its_first_row_the_lowest(in_scratch):
    rows = [{*range(i, i + 10)} for i in range(4)]  # 9 of 11 shared with the next
    found = similar(in_scratch, [rows[2], rows[0], {99}, rows[3], rows[1]])
    found.join_similar(bucket([0, 1, 2, 3, 4]))
    assert found.first_rows(np.arange(5)).tolist() == [0, 0, 2, 0, 0]
    assert found.limited == 0


def test_just_as_similar_is_similar(in_scratch):
    rows = [{1, 2, 3, 4, 5}, {1, 2, 3, 4}, {1, 2, 3}]  # 4/5, 3/4, 3/5
    found = similar(in_scratch, rows)
    found.join_similar(bucket([0, 1, 2]))
    assert found.first_rows(np.arange(3)).tolist() == [0, 0, 2]


def test_only_rows_of_a_bucket_are_compared_and_empty_sets_are_like_none(in_scratch):
    found = similar(in_scratch, [{1}, set(), {1}, set(), {1}, {2}, {2}])
    found.join_similar(bucket([0, 2], [1, 3], [5, 6]))
    assert found.first_rows(np.arange(7)).tolist() == [0, 1, 0, 3, 4, 5, 5]
    found.join_similar(bucket([4, 2], [6, 0]))
    assert found.first_rows(np.arange(7)).tolist() == [0, 1, 0, 3, 0, 5, 5]


def test_join_equal_joins_only_equal_sets(in_scratch):
    found = similar(in_scratch, [{*range(99)}, {*range(100)}, {*range(99)}])
    found.join_equal(bucket([0, 1, 2]))
    assert found.first_rows(np.arange(3)).tolist() == [0, 1, 0]


@pytest.mark.parametrize("large", [4, 40, 300])
@pytest.mark.parametrize("similarity", [0.7, 0.8, 0.9])
def test_groups_are_the_components(in_scratch, monkeypatch, large, similarity):
    monkeypatch.setattr(similar_rows, "LARGE", large)
    rows = families(150, 24, seed=large)
    found = similar(in_scratch, rows, similarity)
    found.join_similar(bucket(range(150)))
    expected = components(rows, similarity)
    got = found.first_rows(np.arange(150)).tolist()
    assert (found.limited > 0) == (large == 4)
    if large == 4:  # then groups may be smaller, never larger
        assert all(expected[row] == expected[first] for row, first in enumerate(got))
    else:
        assert got == expected
    assert 4 < len(set(expected)) < 150


def test_neither_order_nor_parts_nor_blocks_change_the_groups(in_scratch, monkeypatch):
    rows = families(120, 24, seed=7)
    expected = components(rows, 0.8)
    for name, value in (("_PAIRS_TOGETHER", 50_000), ("_RARE_TOGETHER", 100)):
        monkeypatch.setattr(similar_rows, name, value)
    monkeypatch.setattr("dataselect.dedup.sequence_sets.SEQUENCES_TOGETHER", 300)
    for seed, large in ((0, 300), (1, 35)):
        monkeypatch.setattr(similar_rows, "LARGE", large)
        order = np.random.default_rng(seed).permutation(120)
        found = similar(in_scratch, rows)
        found.join_similar(bucket(order[:100], order[50:], range(120)))
        assert found.first_rows(np.arange(120)).tolist() == expected


def test_the_groups_of_a_large_bucket_do_not_depend_on_the_rows_numbers(in_scratch, monkeypatch):
    """Also where rows are compared with the first only: the bucket's order decides, no number."""
    monkeypatch.setattr(similar_rows, "LARGE", 3)
    rows = families(150, 24, seed=5)
    groups = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(150)
        found = similar(in_scratch, [rows[i] for i in order])
        found.join_similar(bucket(np.argsort(order)))
        assert found.limited > 0
        first = found.first_rows(np.argsort(order))
        groups.append({frozenset(np.flatnonzero(first == row).tolist()) for row in first})
    assert groups[0] == groups[1] == groups[2]
