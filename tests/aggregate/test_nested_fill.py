"""The nested fill, worked by hand."""

from collections import Counter

import numpy as np

from dataselect.aggregate.nested_fill import nested_fill
from dataselect.data.scores import Group, SingleGroup


def clustered(sizes):
    """Rows of clusters of these sizes, (source, cluster) → size; the first row is the best."""
    groups = [Group(f"{source}/{number}", None, source) for source, number in sizes]
    cluster_of = np.repeat(np.arange(len(groups)), list(sizes.values()))
    scores = -np.arange(1, len(cluster_of) + 1, dtype=np.float32)
    return groups, SingleGroup(cluster_of, scores)


def taken(sizes, n, block=5):
    """How many rows each source and cluster gives, and the picks."""
    groups, pool = clustered(sizes)
    starts = range(0, len(pool.group), block)
    blocks = [SingleGroup(pool.group[i : i + block], pool.score[i : i + block]) for i in starts]
    picks = nested_fill(lambda: blocks, groups, n)
    assert len(set(picks.rows.tolist())) == len(picks.rows)
    assert (pool.group[picks.rows] == picks.groups).all()
    assert (pool.score[picks.rows] == picks.scores).all()
    count = Counter(picks.groups.tolist())
    return {key: count[number] for number, key in enumerate(sizes)}, picks


def test_sources_in_rising_order_of_size_share_what_is_missing():
    # 40 rows, three sources of 6, 30 and 50. a: 40 // 3 = 13 ≥ 6: whole.
    # Missing 34: b: 34 // 2 = 17.
    # Missing 17: c: 17.
    counts, _ = taken({("c", 0): 50, ("a", 0): 6, ("b", 0): 30}, 40)
    assert counts == {("c", 0): 17, ("a", 0): 6, ("b", 0): 17}


def test_what_does_not_divide_goes_to_the_last_source():
    # 20 rows: a: 20 // 3 = 6; b: 14 // 2 = 7; c: 7.
    counts, _ = taken({("a", 0): 10, ("b", 0): 11, ("c", 0): 12}, 20)
    assert counts == {("a", 0): 6, ("b", 0): 7, ("c", 0): 7}


def test_clusters_in_rising_order_of_size_share_what_is_missing_of_the_share():
    # One source, share 20. Clusters of more than two rows: 3, 9, 20. 20 // 3 = 6 ≥ 3: all 3.
    # Missing 17: 17 // 2 = 8 of the 9. Missing 9: 9 of the 20. The cluster of two gives nothing.
    counts, _ = taken({("a", 0): 20, ("a", 1): 2, ("a", 2): 9, ("a", 3): 3}, 20)
    assert counts == {("a", 0): 9, ("a", 1): 0, ("a", 2): 8, ("a", 3): 3}


def test_clusters_of_two_rows_or_fewer_fill_what_is_missing():
    # Share 9 of a source of 10: the clusters of more than two hold 4 + 3 = 7. Two more are the
    # best of the three rows of the others: rows 0 and 1 come before row 9.
    counts, picks = taken({("a", 0): 2, ("a", 1): 4, ("a", 2): 3, ("a", 3): 1}, 9)
    assert counts == {("a", 0): 2, ("a", 1): 4, ("a", 2): 3, ("a", 3): 0}
    assert picks.rows.tolist()[-2:] == [0, 1]


def test_the_best_rows_of_a_cluster_are_taken_and_never_a_row_that_is_no_candidate():
    groups = [Group("a/0", None, "a")]
    scores = np.asarray([-0.5, -np.inf, -0.1, -0.3, -0.2], dtype=np.float32)
    block = SingleGroup(np.zeros(5, dtype=np.int64), scores)
    picks = nested_fill(lambda: [block], groups, 3)
    assert picks.rows.tolist() == [2, 4, 3]
    assert sorted(nested_fill(lambda: [block], groups, 9).rows.tolist()) == [0, 2, 3, 4]


def test_equal_sources_go_by_name_and_no_source_is_one_source():
    counts, _ = taken({("b", 0): 5, ("a", 0): 5}, 5)  # a: 5 // 2 = 2; b: 3
    assert counts == {("b", 0): 3, ("a", 0): 2}
    groups = [Group("x", None), Group("y", None)]
    block = SingleGroup(np.asarray([0, 1, 0, 1, 0, 1]), -np.arange(1, 7, dtype=np.float32))
    assert nested_fill(lambda: [block], groups, 4).groups.tolist() == [0, 0, 1, 1]
