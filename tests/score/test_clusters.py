"""Clusters of trajectories, within each source."""

import numpy as np

from dataselect.aggregate.nested_fill import nested_fill
from dataselect.data.scores import Pool, PoolInfo, Rows
from dataselect.score.clusters import clusters


def scored(rows, block=5, **settings):
    """The groups and the only block of scores of (id, source, trajectory) rows."""
    parts = [rows[first : first + block] for first in range(0, len(rows), block)]
    blocks = []
    for part in parts:
        names, sources, nll = zip(*part, strict=True)
        features = {"nll": np.asarray(nll, dtype=np.float32)}
        blocks.append(Rows(list(names), list(sources), features))
    info = PoolInfo(len(rows), sorted({source for _, source, _ in rows}))
    groups, scores = clusters(**settings).score(Pool(info, blocks))
    (block,) = scores
    return groups, block


def test_clusters_are_found_within_each_source():
    rows = [(f"{s}{i}", s, [10.0 * (i % 3), 1.0]) for s in "ab" for i in range(12)]
    groups, block = scored(rows, seed=0, count=3, rows_per_cluster=4)
    assert len(groups) == 6
    assert {group.source for group in groups} == {"a", "b"}
    for number, (name, source, _) in enumerate(rows):
        assert groups[block.group[number]].source == source
        mates = {rows[i][0] for i in np.flatnonzero(block.group == block.group[number])}
        assert mates == {f"{source}{i}" for i in range(int(name[1:]) % 3, 12, 3)}
    assert ((block.score >= -1) & (block.score < 0)).all()


def test_more_clusters_than_rows_are_a_cluster_per_row():
    rows = [(f"r{i}", "ab"[i > 2], [float(i), 0.0]) for i in range(5)]
    _, block = scored(rows, seed=0, count=100, rows_per_cluster=1)
    assert sorted(block.group.tolist()) == [0, 1, 2, 3, 4]


def test_a_small_source_has_few_clusters_and_says_so(capsys):
    # 40 sources of 39 rows, in three kinds of trajectories: 100 clusters would be a row each.
    rows = [
        (f"{s}/{i}", f"s{s}", [10.0 * (i % 3) + 0.01 * i, float(i % 3)])
        for s in range(40)
        for i in range(39)
    ]
    groups, block = scored(rows, seed=0)
    assert len(groups) == 40 * 3
    assert sorted(np.bincount(block.group).tolist()) == [13] * 120
    assert " ".join(capsys.readouterr().out.split()) == (
        "120 clusters of 1,560 rows in 40 sources; 40 of these have fewer than 100 each: at most "
        "a cluster for every 10 rows (`rows_per_cluster`)"
    )


def test_a_large_source_has_all_its_clusters_and_a_tiny_one_has_one(capsys):
    rows = [(f"a{i}", "a", [float(i), 0.0]) for i in range(50)]
    rows += [(f"b{i}", "b", [float(i), 0.0]) for i in range(9)] + [("c", "c", [np.nan, 0.0])]
    groups, _ = scored(rows, seed=0, count=4)
    assert [group.source for group in groups] == ["a"] * 4 + ["b", "c"]
    assert "6 clusters of 60 rows in 3 sources; 2 of these have" in capsys.readouterr().out
    scored(rows[:50], seed=0, count=5)
    assert capsys.readouterr().out == "5 clusters of 50 rows in 1 sources\n"


def test_few_clusters_give_rare_rows_their_share_where_a_cluster_a_row_gives_a_random_draw():
    # In each of ten sources, 6 of 30 rows learn unlike the others; 100 of the 300 are chosen.
    rows = [
        (f"{s}/{i}", f"s{s}", [5.0 * (i % 5 == 0), 0.001 * i]) for s in range(10) for i in range(30)
    ]
    rare = {}
    for needed in (1, 15):
        groups, block = scored(rows, seed=0, rows_per_cluster=needed)
        picks = nested_fill(lambda block=block: [block], groups, 100)
        rare[needed] = sum(int(rows[row][0].split("/")[1]) % 5 == 0 for row in picks.rows)
    assert rare[15] == 50  # half of every source's share
    assert rare[1] < 35  # 20 of a random draw


def test_a_row_without_a_finite_trajectory_is_no_candidate():
    rows = [("x", "a", [1.0, 2.0]), ("y", "a", [np.nan, 1.0]), ("z", "b", [np.nan, np.nan])]
    groups, block = scored(rows, seed=0, count=2)
    assert np.isneginf(block.score).tolist() == [False, True, True]
    assert {group.source for group in groups} == {"a", "b"}


def test_its_inputs():
    assert clusters(seed=0).inputs == ("nll",)
