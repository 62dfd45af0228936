"""Clusters of trajectories, within each source."""

import numpy as np

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
    groups, block = scored(rows, seed=0, count=3)
    assert len(groups) == 6
    assert {group.source for group in groups} == {"a", "b"}
    for number, (name, source, _) in enumerate(rows):
        assert groups[block.group[number]].source == source
        mates = {rows[i][0] for i in np.flatnonzero(block.group == block.group[number])}
        assert mates == {f"{source}{i}" for i in range(int(name[1:]) % 3, 12, 3)}
    assert ((block.score >= -1) & (block.score < 0)).all()


def test_more_clusters_than_rows_are_a_cluster_per_row():
    rows = [(f"r{i}", "ab"[i > 2], [float(i), 0.0]) for i in range(5)]
    _, block = scored(rows, seed=0, count=100)
    assert sorted(block.group.tolist()) == [0, 1, 2, 3, 4]


def test_a_row_without_a_finite_trajectory_is_no_candidate():
    rows = [("x", "a", [1.0, 2.0]), ("y", "a", [np.nan, 1.0]), ("z", "b", [np.nan, np.nan])]
    groups, block = scored(rows, seed=0, count=2)
    assert np.isneginf(block.score).tolist() == [False, True, True]
    assert {group.source for group in groups} == {"a", "b"}


def test_its_inputs():
    assert clusters(seed=0).inputs == ("nll",)
