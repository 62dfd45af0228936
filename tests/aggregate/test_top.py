"""The highest scores of all; and what holds for every aggregator."""

import numpy as np
import pytest

from dataselect.aggregate.mean_over_tasks import mean_over_tasks
from dataselect.aggregate.nested_fill import nested_fill
from dataselect.aggregate.round_robin import round_robin
from dataselect.aggregate.top import top
from dataselect.data.scores import SingleGroup
from tests.aggregate import NO, matrix, pick
from tests.helpers import columns


def test_top_is_the_best_over_all_groups():
    scores = matrix([[1, 9], [8, 2], [3, 3], [NO, 7]])
    picks = pick(top, scores, 3)
    assert picks.rows.tolist() == [0, 1, 3]
    assert picks.groups.tolist() == [1, 0, 1]


def test_ties_go_to_the_lower_row_whatever_the_blocks():
    scores = np.zeros((9, 1), dtype=np.float32)
    for block in (1, 2, 4, 9):
        assert pick(round_robin, scores, 3, block).rows.tolist() == [0, 1, 2]
        assert pick(top, scores, 3, block).rows.tolist() == [0, 1, 2]


def test_fewer_rows_come_back_where_there_are_fewer_candidates():
    scores = matrix([[NO, NO], [1, NO], [NO, NO]])
    assert pick(round_robin, scores, 3).rows.tolist() == [1]
    assert pick(top, scores, 3).rows.tolist() == [1]


@pytest.mark.parametrize("aggregator", [round_robin, top, mean_over_tasks, nested_fill])
@pytest.mark.parametrize("block", [1, 3, 40])
def test_a_single_group_per_row_is_a_matrix_with_one_candidate_per_row(aggregator, block):
    draws = np.random.default_rng(block)
    groups, scores = draws.integers(0, 5, 40), draws.normal(size=40).astype(np.float32)
    dense = np.full((40, 5), NO, dtype=np.float32)
    dense[np.arange(40), groups] = scores
    starts = range(0, 40, block)
    blocks = [SingleGroup(groups[i : i + block], scores[i : i + block]) for i in starts]
    expected = pick(aggregator, dense, 23)
    picks = aggregator(lambda: blocks, columns(5), 23)
    for ours, theirs in zip(picks, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
