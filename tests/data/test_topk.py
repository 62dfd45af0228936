"""The best k rows of every group, against a plain sort."""

import numpy as np
import pytest

from dataselect.data.topk import top_k


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
