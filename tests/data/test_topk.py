"""The best k rows of every group, against a plain sort."""

import numpy as np
import pytest

from dataselect.data.scores import SingleGroup
from dataselect.data.topk import top_k, top_k_by_class


@pytest.mark.parametrize("values", [3, 40, 10_000])
@pytest.mark.parametrize("block", [13, 2_000])
@pytest.mark.parametrize("k", [1, 3, 50, 4_000])
def test_best_is_the_head_of_the_sorted_column(k, block, values):
    scores = np.random.default_rng(k).integers(0, values, (3_000, 4)).astype(np.float32)
    ranked = top_k([scores[i : i + block] for i in range(0, 3_000, block)], 4, k)
    for group in range(4):
        order = np.lexsort((np.arange(3_000), -scores[:, group]))[:k]
        assert ranked[group].rows.tolist() == order.tolist()
        assert ranked[group].scores.tolist() == scores[order, group].tolist()


@pytest.mark.parametrize("block", [13, 2_000])
def test_the_best_of_a_class_are_the_best_of_its_rows(block):
    draw = np.random.default_rng(block)
    scores = draw.integers(0, 40, (3_000, 3)).astype(np.float32)
    classes = draw.integers(0, 4, 3_000)
    classes[:1_000] = 1  # whole blocks of a class
    blocks = [scores[i : i + block] for i in range(0, 3_000, block)]
    ranked = top_k_by_class(blocks, 3, classes, {1: 50, 3: 7})
    assert set(ranked) == {1, 3}
    for number, k in ((1, 50), (3, 7)):
        members = np.flatnonzero(classes == number)
        for group in range(3):
            order = members[np.lexsort((members, -scores[members, group]))][:k]
            assert ranked[number][group].rows.tolist() == order.tolist()
            assert ranked[number][group].scores.tolist() == scores[order, group].tolist()


def test_a_row_in_a_single_group_is_ranked_there_only():
    groups, classes = np.asarray([0, 1, 0, 1, 0]), np.asarray([2, 2, 5, 2, 2])
    block = SingleGroup(groups, np.asarray([1, 2, 9, 3, 4], dtype=np.float32))
    ranked = top_k_by_class([block], 2, classes, {2: 5})
    assert [top.rows.tolist() for top in ranked[2]] == [[4, 0], [3, 1]]
