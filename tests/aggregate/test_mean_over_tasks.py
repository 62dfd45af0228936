"""The mean over tasks: worked by hand, and against the plain rule."""

import numpy as np
import pytest

from dataselect.aggregate.mean_over_tasks import mean_over_tasks
from dataselect.data.scores import Group, SingleGroup
from tests.aggregate import NO, matrix


def chosen(scores, tasks, n, block=2):
    """What is chosen of a matrix whose columns belong to these tasks."""
    groups = [Group(str(number), task) for number, task in enumerate(tasks)]
    blocks = [scores[i : i + block] for i in range(0, len(scores), block)]
    return mean_over_tasks(lambda: blocks, groups, n)


def test_the_mean_of_the_best_of_each_task_by_hand():
    # Of task a the best of two queries: (0.75 + 0.5) / 2, (1 + 0) / 2, (0.5 + 0.75) / 2, none
    # without a score in b, (0.25 + 0.25) / 2.
    scores = matrix([
        [0.25, 0.75, 0.5],
        [1, 0, 0],
        [0.5, 0.5, 0.75],
        [1, 1, NO],
        [NO, 0.25, 0.25],
    ])  # fmt: skip
    picks = chosen(scores, ["a", "a", "b"], 5)
    assert picks.rows.tolist() == [0, 2, 1, 4]  # of equals the first
    assert picks.scores.tolist() == [0.625, 0.625, 0.5, 0.25]
    assert picks.groups.tolist() == [1, 2, 0, 1]
    assert picks.used_up is None


@pytest.mark.parametrize("seed", range(6))
def test_it_equals_the_plain_rule_whatever_the_blocks_and_the_order_of_groups(seed):
    draw = np.random.default_rng(seed)
    rows, columns = int(draw.integers(5, 90)), int(draw.integers(1, 9))
    tasks = draw.choice(["a", "b", "c"], columns).tolist()
    scores = draw.integers(0, 5, (rows, columns)).astype(np.float32)  # many ties
    scores[draw.random((rows, columns)) < 0.2] = NO
    best = [scores[:, np.asarray(tasks) == task].max(axis=1) for task in sorted(set(tasks))]
    means = np.mean(best, axis=0, dtype=np.float64).astype(np.float32)
    order = np.lexsort((np.arange(rows), -means))
    expected = order[means[order] > NO][: rows // 2 + 1].tolist()
    shuffled = draw.permutation(columns)
    for block in (1, 7, rows):
        assert chosen(scores, tasks, rows // 2 + 1, block).rows.tolist() == expected
        other = chosen(scores[:, shuffled], np.asarray(tasks)[shuffled], rows // 2 + 1, block)
        assert other.rows.tolist() == expected


def test_a_row_of_one_group_is_no_candidate_of_other_tasks():
    block = SingleGroup(np.asarray([0, 1]), np.asarray([0.5, 0.75], dtype=np.float32))
    of_two = [Group("x", "a"), Group("y", "b")]
    assert mean_over_tasks(lambda: [block], of_two, 2).rows.tolist() == []
    of_same = [Group("x", "a"), Group("y", "a")]
    picks = mean_over_tasks(lambda: [block], of_same, 2)
    assert (picks.rows.tolist(), picks.groups.tolist()) == ([1, 0], [1, 0])
