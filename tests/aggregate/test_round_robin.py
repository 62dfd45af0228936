"""Round-robin: worked by hand, and against the published rule written out."""

import numpy as np
import pytest

from dataselect.aggregate.round_robin import round_robin
from tests.aggregate import NO, matrix, pick


def test_round_robin_by_hand():
    # group 0 ranks 0 1 2 3, group 1 ranks 0 2 3 1: round 1 offers 0, 0 (taken: the turn is used
    # up); round 2 offers 1, 2; round 3 offers 2 (taken), 3
    scores = matrix([[0.9, 0.9], [0.8, 0.1], [0.7, 0.8], [0.6, 0.7]])
    picks = pick(round_robin, scores, 4)
    assert picks.rows.tolist() == [0, 1, 2, 3]
    assert picks.groups.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(picks.scores, [0.9, 0.8, 0.8, 0.7])
    assert picks.used_up.tolist() == [1, 1]


def test_a_group_that_runs_out_leaves_its_turns_to_the_others():
    scores = matrix([[1, NO], [NO, 5], [NO, 4], [NO, 3]])
    picks = pick(round_robin, scores, 4)
    assert picks.rows.tolist() == [0, 1, 2, 3]
    assert picks.groups.tolist() == [0, 1, 1, 1]
    assert picks.used_up.tolist() == [0, 0]  # a turn without a row is none


def plain(scores, n):
    """The published rule, written out: offer, skip what is taken, go on round by round."""
    orders = [np.lexsort((np.arange(len(scores)), -column)) for column in scores.T]
    chosen = []
    for turn in range(len(scores)):
        for order, column in zip(orders, scores.T, strict=True):
            row = order[turn]
            if column[row] > NO and row not in chosen and len(chosen) < n:
                chosen.append(int(row))
    return chosen


@pytest.mark.parametrize("seed", range(12))
def test_round_robin_equals_the_plain_algorithm(seed):
    draw = np.random.default_rng(seed)
    rows, groups = int(draw.integers(5, 120)), int(draw.integers(1, 9))
    scores = draw.integers(0, 12, (rows, groups)).astype(np.float32)  # many ties
    scores[draw.random((rows, groups)) < 0.3] = NO
    for n in (1, rows // 3 + 1, rows):
        assert pick(round_robin, scores, n, 7).rows.tolist() == plain(scores, n)
