"""Cosines and their maximum over a task's queries, worked by hand."""

import numpy as np
import pytest

from dataselect.data.scores import PoolInfo, Queries, Rows
from dataselect.errors import InputError
from dataselect.score.cosine import cosine


def matrix(rows):
    return np.asarray(rows, dtype=np.float32)


def queries_of(tasks, vectors):
    ids = [str(number) for number in range(1, len(tasks) + 1)]
    return Queries(tasks, ids, {"vectors": matrix(vectors)})


def scored(vectors, queries, groups):
    """The names of the groups, and the scores."""
    rows = Rows([str(i) for i in range(len(vectors))], ["s"] * len(vectors), {"vectors": vectors})
    prepared = cosine(groups=groups).prepare(PoolInfo(len(vectors), ["s"]), queries)
    return [group.name for group in prepared.groups], prepared.score(rows)


def test_a_task_has_the_maximum_over_its_queries():
    vectors = matrix([[1, 0], [3, 4]])
    queries = queries_of(["t", "t", "u"], [[1, 0], [0, 2], [-1, 0]])
    names, scores = scored(vectors, queries, "auto")
    assert names == ["t", "u"]
    np.testing.assert_allclose(scores, [[1, -1], [0.8, -0.6]], atol=1e-6)
    names, scores = scored(vectors, queries, "queries")
    assert names == ["1", "2", "3"]
    np.testing.assert_allclose(scores, [[1, 0, -1], [0.6, 0.8, -0.6]], atol=1e-6)


def test_queries_of_a_task_need_not_be_neighbours():
    queries = queries_of(["t", "u", "t"], [[1, 0], [-1, 0], [0, 2]])
    names, scores = scored(matrix([[1, 0], [3, 4]]), queries, "auto")
    assert names == ["t", "u"]
    np.testing.assert_allclose(scores, [[1, -1], [0.8, -0.6]], atol=1e-6)


def test_a_single_task_is_grouped_by_its_queries():
    queries = queries_of(["t", "t"], [[1, 0], [0, 1]])
    assert scored(matrix([[1, 0]]), queries, "auto")[0] == ["1", "2"]
    assert scored(matrix([[1, 0]]), queries, "tasks")[0] == ["t"]


def test_rows_without_a_vector_are_no_candidates():
    vectors = matrix([[0, 0], [np.nan, 1], [1, 1]])
    _, scores = scored(vectors, queries_of(["t", "u"], [[1, 0], [0, -1]]), "auto")
    assert np.isneginf(scores).tolist() == [[True, True], [True, True], [False, False]]


def test_a_query_without_a_vector_is_named():
    queries = queries_of(["t", "t"], [[1, 0], [0, 0]])
    with pytest.raises(InputError, match=r"1 queries have none of the tokens .*: 2\. Add their"):
        scored(matrix([[1, 0]]), queries, "auto")


def test_its_inputs():
    scorer = cosine(groups="auto")
    assert (scorer.inputs, scorer.uses_queries) == (("vectors",), True)
