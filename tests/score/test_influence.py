"""Influences worked by hand; against the published code in tests/embed/test_gradients.py."""

import numpy as np
import pytest

from dataselect.data.scores import PoolInfo, Queries, Rows
from dataselect.score.influence import influence


@pytest.fixture
def rows():
    gradients = np.asarray([[[1, 0], [0, 1]], [[0, 1], [0, 1]]], dtype=np.float16)
    return Rows(["x", "y"], ["s", "s"], {"gradients": gradients})


def scored(rows, subtasks, groups):
    """Three queries of one task, at two checkpoints of weight 0.75 and 0.25."""
    features = {
        "gradients": np.asarray(
            [[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, 1], [0, 1]]], dtype=np.float16
        ),
        "weight": np.asarray([[0.75, 0.25]] * 3, dtype=np.float32),
    }
    queries = Queries(["t"] * 3, ["0", "1", "2"], features, subtasks)
    return influence(groups=groups).prepare(PoolInfo(2, ["s"]), queries).score(rows)


def test_a_query_has_the_weighted_sum_of_the_checkpoints(rows):
    # row 0: 0.75 + 0.25 = 1, 0 + 0 = 0, 0 + 0.25; row 1: 0.25, 0.75, 1
    scores = scored(rows, ["a", "a", "b"], "queries")
    np.testing.assert_allclose(scores, [[1, 0, 0.25], [0.25, 0.75, 1]])


def test_a_task_has_the_maximum_of_its_subtasks_means(rows):
    # Subtasks a (queries 0, 1) and b (2): row 0: max(0.5, 0.25); row 1: max(0.5, 1)
    np.testing.assert_allclose(scored(rows, ["a", "a", "b"], "auto"), [[0.5], [1.0]])


@pytest.mark.parametrize("subtasks", [[None] * 3, []])
def test_without_subtasks_a_task_has_the_mean_over_its_queries(rows, subtasks):
    scores = scored(rows, subtasks, "tasks")
    np.testing.assert_allclose(scores, [[1.25 / 3], [2 / 3]], rtol=1e-6)


def test_its_inputs():
    scorer = influence(groups="auto")
    assert (scorer.inputs, scorer.uses_queries) == (("gradients",), True)
