"""Facility location: the greedy order worked by hand, and what it makes of a pool."""

import numpy as np
import pytest

from dataselect.data.scores import Group, Pool, PoolInfo, Rows
from dataselect.score.coverage import coverage, strictly_decreasing


def pool_of(vectors, ids=None, block=1_000_000):
    ids = ids if ids is not None else [f"{row:05}" for row in range(len(vectors))]
    blocks = [
        Rows(ids[k : k + block], ["s"] * len(ids[k : k + block]), {"vectors": vectors[k:][:block]})
        for k in range(0, len(ids), block)
    ]
    return Pool(PoolInfo(len(ids), ["s"]), blocks)


def column(pool, budget):
    groups, blocks = coverage(budget=budget).score(pool)
    scores = np.concatenate(list(blocks))
    assert groups == [Group("pool", None)]
    assert scores.shape == (pool.info.row_count, 1)
    assert scores.dtype == np.float32
    return scores[:, 0]


def order_of(scores):
    """The rows that are candidates, highest first and of equals the first: what `top` takes."""
    order = np.lexsort((np.arange(len(scores)), -scores))
    return order[np.isfinite(scores[order])].tolist()


def random_vectors(seed, n=200, d=8):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((10, d))
    return (centres[rng.integers(10, size=n)] + rng.standard_normal((n, d))).astype(np.float32)


# Vectors at 0°, 20°, 60°, 200° (lengths do not count) and 210°. Cosines that count:
#   cos 20° = .9397, cos 60° = .5, cos 40° = .7660, cos 10° = .9848; the others are below 0.
# First gains:  0°: 1 + .9397 + .5    = 2.4397   20°: .9397 + 1 + .7660 = 2.7057
#              60°: .5 + .7660 + 1    = 2.2660   200°, 210°: 1 + .9848  = 1.9848
# 20° is taken, and covers .9397, 1, .7660, 0, 0. What the others add now:
#   0°: 1 − .9397 = .0603   60°: 1 − .7660 = .2340   200° and 210°: 1.9848
# 200° is taken, being before 210°, which now adds 1 − .9848 = .0152. Then 60° with .2340 (it
# covers 0° by less than 20° does), then 0° with .0603, then 210°.
ANGLES = [0, 20, 60, 200, 210]
BY_HAND = [(1, 2.7057), (3, 1.9848), (2, 0.2340), (0, 0.0603), (4, 0.0152)]


def by_angle(angles):
    turns = np.deg2rad(angles)
    lengths = 1.0 + np.arange(len(angles))
    return (np.stack([np.cos(turns), np.sin(turns)], axis=1) * lengths[:, None]).astype(np.float32)


def test_the_order_worked_by_hand():
    scores = column(pool_of(by_angle(ANGLES)), 5)
    assert order_of(scores) == [row for row, _ in BY_HAND]
    np.testing.assert_allclose(scores[order_of(scores)], [g for _, g in BY_HAND], atol=1e-4)


def test_rows_beyond_the_budget_are_no_candidates():
    scores = column(pool_of(by_angle(ANGLES)), 2)
    assert order_of(scores) == [1, 3]
    assert np.isneginf(scores[[0, 2, 4]]).all()


def test_its_inputs():
    assert coverage(budget=3).inputs == ("vectors",)


def test_the_order_and_the_blocks_of_the_pool_change_no_score():
    vectors = random_vectors(3)
    vectors[50:60] = vectors[40]  # equal vectors too
    ids = [f"id{row * 7919 % 200}" for row in range(200)]  # an order of their own
    scores = column(pool_of(vectors, ids), 200)
    shuffled = np.random.default_rng(0).permutation(200)
    other = column(pool_of(vectors[shuffled], [ids[row] for row in shuffled], block=33), 200)
    np.testing.assert_array_equal(scores[shuffled], other)


def test_a_larger_budget_contains_the_smaller():
    pool = pool_of(random_vectors(4))
    small, large = column(pool, 30), column(pool, 90)
    assert order_of(large)[:30] == order_of(small)
    np.testing.assert_array_equal(small[order_of(small)], large[order_of(small)])


@pytest.mark.parametrize(
    ("budget", "rows"), [("5%", 10), ("0.1%", 1), ("2.9%", 5), ("100%", 200), (1, 1), (999, 200)]
)
def test_a_budget_is_rows_or_a_share(budget, rows):
    assert len(order_of(column(pool_of(random_vectors(5)), budget))) == rows


def test_a_share_is_of_the_whole_pool():
    vectors = random_vectors(5)
    vectors[:100] = 0
    assert len(order_of(column(pool_of(vectors), "10%"))) == 20


def test_rows_without_a_vector_count_for_nothing():
    vectors = random_vectors(6, n=60).astype(np.float16)
    bad = [0, 7, 8, 30]
    vectors[0, 3], vectors[7], vectors[8, 1], vectors[30] = np.nan, 0, np.inf, -np.inf
    good = np.setdiff1d(np.arange(60), bad)
    ids = [f"{row:05}" for row in range(60)]
    scores = column(pool_of(vectors, ids), 60)
    assert np.isneginf(scores[bad]).all()
    others = column(pool_of(vectors[good], [ids[row] for row in good]), 60)
    np.testing.assert_array_equal(scores[good], others)


def test_a_pool_without_any_vector_has_no_candidates():
    assert np.isneginf(column(pool_of(np.zeros((3, 2), dtype=np.float32)), 2)).all()


def test_lengths_whose_squares_overflow_do_not_matter():
    vectors = by_angle(ANGLES)
    scales = np.float32([1e30, 1e-30, 1, 1e-38, 1e38])[:, None] / 5
    assert order_of(column(pool_of(vectors * scales), 5)) == [row for row, _ in BY_HAND]


def test_of_equal_vectors_the_lower_id_is_first_and_the_others_add_nothing():
    vectors = random_vectors(7, n=40)
    vectors[[5, 20, 33]] = vectors[12] * 2
    ids = [f"{row:05}" for row in reversed(range(40))]  # row 33 has the lowest id of the four
    scores = column(pool_of(vectors, ids), 40)
    order = order_of(scores)
    assert order[-3:] == [20, 12, 5]
    assert order.index(33) < 37
    np.testing.assert_allclose(scores[[20, 12, 5]], 0, atol=1e-30)


def test_a_pool_of_one_vector_is_taken_by_id():
    ids = [f"{row * 77 % 100:03}" for row in range(100)]
    scores = column(pool_of(np.ones((100, 3), dtype=np.float16), ids), 100)
    assert [ids[row] for row in order_of(scores)] == sorted(ids)
    assert scores.max() == pytest.approx(100)


def test_scores_decrease_strictly_whatever_the_gains():
    gains = np.array([6e4, 6e4, 6e4 - 1e-9, 2.0, 1.0, 1.0, 1e-30, 1e-30, 0.0, 0.0, 0.0])
    scores = strictly_decreasing(gains)
    assert scores.dtype == np.float32
    assert (np.diff(scores.astype(np.float64)) < 0).all()
    np.testing.assert_allclose(scores, gains, rtol=1e-6, atol=1e-30)
    tiny = np.finfo(np.float32).tiny
    assert ((scores == 0) | (np.abs(scores) >= tiny)).all()  # no library takes one for another
    assert len(strictly_decreasing(np.zeros(0))) == 0
