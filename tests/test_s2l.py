"""S2L and its baselines: the nested fill by hand, clusters, trajectories, the proxy."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from dataselect.aggregate.nested_fill import nested_fill
from dataselect.data import tables
from dataselect.data.scores import Group, Pool, Rows, SingleGroup
from dataselect.embed.losses import losses
from dataselect.embed.trajectories import trajectories
from dataselect.models.chat import Chat
from dataselect.models.load import load_tokenizer
from dataselect.numerics.kmeans import kmeans
from dataselect.reference.proxy import proxy
from dataselect.score.change import change
from dataselect.score.clusters import clusters
from dataselect.train import snapshots
from tests.helpers import GOLDEN, MODEL, ROOT

SHORT = {**MODEL, "max_tokens": 256}


def clustered(sizes):
    """Rows of clusters of these sizes a source, as (source, cluster) → size; equal scores."""
    groups = [Group(f"{source}/{number}", None, source) for source, number in sizes]
    of = np.repeat(np.arange(len(groups)), list(sizes.values()))
    scores = -np.arange(1, len(of) + 1, dtype=np.float32)
    return groups, SingleGroup(of, scores)


def taken(sizes, n, block=5):
    """How many rows each source and cluster gives."""
    groups, parts = clustered(sizes)
    starts = range(0, len(parts.group), block)
    blocks = [SingleGroup(parts.group[i : i + block], parts.score[i : i + block]) for i in starts]
    picks = nested_fill(lambda: blocks, groups, n)
    assert len(set(picks.rows.tolist())) == len(picks.rows)
    assert (parts.group[picks.rows] == picks.groups).all()
    assert (parts.score[picks.rows] == picks.scores).all()
    count = Counter(picks.groups.tolist())
    return {key: count[number] for number, key in enumerate(sizes)}, picks


def test_sources_in_rising_order_of_size_share_what_is_left():
    # 40 rows, three sources of 6, 30 and 50. a: 40 // 3 = 13 ≥ 6: whole. Left 34: b: 34 // 2 = 17.
    # Left 17: c: 17.
    counts, _ = taken({("c", 0): 50, ("a", 0): 6, ("b", 0): 30}, 40)
    assert counts == {("c", 0): 17, ("a", 0): 6, ("b", 0): 17}


def test_what_does_not_divide_goes_to_the_last_source():
    # 20 rows: a: 20 // 3 = 6; b: 14 // 2 = 7; c: 7.
    counts, _ = taken({("a", 0): 10, ("b", 0): 11, ("c", 0): 12}, 20)
    assert counts == {("a", 0): 6, ("b", 0): 7, ("c", 0): 7}


def test_clusters_in_rising_order_of_size_share_what_is_left_of_the_share():
    # One source, share 20. Clusters of more than two rows: 3, 9, 20. 20 // 3 = 6 ≥ 3: all 3.
    # Left 17: 17 // 2 = 8 of the 9. Left 9: 9 of the 20. The cluster of two gives nothing.
    counts, _ = taken({("a", 0): 20, ("a", 1): 2, ("a", 2): 9, ("a", 3): 3}, 20)
    assert counts == {("a", 0): 9, ("a", 1): 0, ("a", 2): 8, ("a", 3): 3}


def test_clusters_of_two_rows_or_fewer_fill_what_is_missing():
    # Share 9 of a source of 10: the clusters of more than two hold 4 + 3 = 7; two of the three
    # stragglers are missing, the best of them: rows 0 and 1 come before row 9.
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


def test_equal_sources_go_by_name_and_none_is_one():
    counts, _ = taken({("b", 0): 5, ("a", 0): 5}, 5)  # a: 5 // 2 = 2; b: 3
    assert counts == {("b", 0): 3, ("a", 0): 2}
    groups = [Group("x", None), Group("y", None)]
    block = SingleGroup(np.asarray([0, 1, 0, 1, 0, 1]), -np.arange(1, 7, dtype=np.float32))
    assert nested_fill(lambda: [block], groups, 4).groups.tolist() == [0, 0, 1, 1]


def learned(name, source, trajectory):
    return name, source, trajectory


def pool_of(rows, extra=()):
    names, sources, nll = zip(*rows, strict=True)
    features = {"nll": np.asarray(nll, dtype=np.float32), **dict(extra)}
    return Pool(len(rows), sorted(set(sources)), [Rows(list(names), list(sources), features)])


def test_clusters_are_found_within_each_source():
    rows = [(f"{s}{i}", s, [10.0 * (i % 3), 1.0]) for s in "ab" for i in range(12)]
    answer = clusters(pool_of(rows), seed=0, count=3)
    (block,) = answer.blocks
    assert len(answer.groups) == 6
    assert {group.source for group in answer.groups} == {"a", "b"}
    for number, (name, source, _) in enumerate(rows):
        group = answer.groups[block.group[number]]
        assert group.source == source
        mates = {rows[i][0] for i in np.flatnonzero(block.group == block.group[number])}
        assert mates == {f"{source}{i}" for i in range(int(name[1:]) % 3, 12, 3)}
    assert ((block.score >= -1) & (block.score < 0)).all()


def test_more_clusters_than_rows_are_a_cluster_a_row():
    rows = [(f"r{i}", "ab"[i > 2], [float(i), 0.0]) for i in range(5)]
    answer = clusters(pool_of(rows), seed=0, count=100)
    (block,) = answer.blocks
    assert sorted(block.group.tolist()) == [0, 1, 2, 3, 4]
    assert kmeans(np.zeros((3, 2)), 100, 0).tolist() == [0, 1, 2]


def test_a_row_that_was_not_measured_is_in_no_cluster():
    rows = [("x", "a", [1.0, 2.0]), ("y", "a", [np.nan, 1.0]), ("z", "b", [np.nan, np.nan])]
    answer = clusters(pool_of(rows), seed=0, count=2)
    (block,) = answer.blocks
    assert np.isneginf(block.score).tolist() == [False, True, True]
    assert {group.source for group in answer.groups} == {"a", "b"}


def changing(**features):
    arrays = {name: np.asarray(value, dtype=np.float32) for name, value in features.items()}
    count = len(next(iter(arrays.values())))
    return Pool(count, ["s"], [Rows([str(i) for i in range(count)], ["s"] * count, arrays)])


def test_learnability_is_the_loss_before_minus_after():
    pool = changing(before_nll=[5.0, 3.0, np.nan], nll=[[4.0, 2.0], [3.0, 3.5], [1.0, 1.0]])
    (scores,) = change(pool, of="nll").blocks
    np.testing.assert_allclose(scores[:, 0], [3.0, -0.5, -np.inf])


def test_the_steepest_fall_of_confidence_scores_highest():
    # Straight lines of slope −0.1 and 0.2; then 0.5 0.9 0.1: least squares (0.1 − 0.5) / 2 = −0.2.
    pool = changing(
        before_probability=[0.5, 0.1, 0.5], probability=[[0.4, 0.3], [0.3, 0.5], [0.9, 0.1]]
    )
    (scores,) = change(pool, of="probability", by="slope").blocks
    np.testing.assert_allclose(scores[:, 0], [0.1, -0.2, 0.2], rtol=1e-5)


def test_snapshots_are_evenly_spaced_and_end_with_the_last_step():
    assert snapshots.snapshot_steps(12, 3) == [4, 8, 12]
    assert snapshots.snapshot_steps(10, 4) == [2, 5, 8, 10]
    assert snapshots.snapshot_steps(2, 12) == [1, 2]  # never more than there are steps
    assert len(snapshots.snapshot_steps(6141, 12)) == 12


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A proxy fitted on 40 golden rows, with three checkpoints."""
    home = tmp_path_factory.mktemp("proxy")
    pool = pl.read_parquet(GOLDEN / "pool.parquet").head(40)
    pool = pool.drop("row", strict=False).with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", pool, home / "pool.parquet")
    few = {"epochs": 2, "checkpoints": 3, "learning_rate": 5e-3, "batch_size": 8}
    done = proxy(SHORT, home / "pool.parquet", home, seed=0, micro_batch_size=8, **few)
    return pool["messages"].to_list(), done


def test_trajectories_are_the_losses_at_every_checkpoint_in_training_order(fitted):
    rows, done = fitted
    assert [one.folder.name for one in done.checkpoints] == ["00", "01", "02"]
    told = []
    found = trajectories(SHORT, done.checkpoints)(rows, "pool", lambda *cost: told.append(cost))
    assert found["nll"].shape == found["probability"].shape == (40, 3)
    for number, one in enumerate(done.checkpoints):
        alone = losses({**SHORT, "name": str(one.folder)})(rows, "pool", lambda *_: None)
        np.testing.assert_allclose(found["nll"][:, number], alone["response_nll"], rtol=1e-6)
        np.testing.assert_allclose(found["probability"][:, number], alone["probability"], rtol=1e-6)
    before = losses(SHORT)(rows, "pool", lambda *_: None)
    np.testing.assert_allclose(found["before_nll"], before["response_nll"], rtol=1e-6)
    course = np.nanmean(np.column_stack([found["before_nll"], found["nll"]]), axis=0)
    assert (np.diff(course) < 0).all()  # it learns
    assert sum(cost[0] for cost in told) == 40
    assert sum(cost[1] for cost in told) > 4 * 40


def test_a_proxy_may_have_a_tokenizer_of_its_own(fitted, monkeypatch):
    """The rows go over as text: losses are those under the proxy's own tokens."""
    rows, _ = fitted
    monkeypatch.chdir(ROOT)
    other = {**SHORT, "name": "demo/base_model"}
    assert Chat(load_tokenizer(other), "tulu", 256).encode(rows[:1])[0].ids.tolist() != (
        Chat(load_tokenizer(SHORT), "tulu", 256).encode(rows[:1])[0].ids.tolist()
    )
    found = trajectories(other, [])(rows[:4], "pool", lambda *_: None)
    expected = losses(other)(rows[:4], "pool", lambda *_: None)
    np.testing.assert_allclose(found["before_nll"], expected["response_nll"], rtol=1e-6)


def test_the_proxys_rates_are_those_of_its_schedule(tmp_path):
    pool = pl.read_parquet(GOLDEN / "pool.parquet").head(24)
    pool = pool.drop("row", strict=False).with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", pool, tmp_path / "pool.parquet")
    few = {"epochs": 2, "checkpoints": 2, "learning_rate": 1e-3, "batch_size": 2}
    done = proxy(
        SHORT, tmp_path / "pool.parquet", tmp_path, seed=0, warmup=0.25, micro_batch_size=2, **few
    )
    total = done.steps
    warm = -(-total // 4)
    late = [(s - warm) / (total - warm) for s in range(warm, total)]
    rates = [s / warm for s in range(warm)] + [(1 + np.cos(np.pi * part)) / 2 for part in late]
    half = total // 2
    expected = [1e-3 * np.mean(rates[:half]), 1e-3 * np.mean(rates[half:])]
    np.testing.assert_allclose([c.mean_learning_rate for c in done.checkpoints], expected)
