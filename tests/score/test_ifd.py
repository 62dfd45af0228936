"""The ratio of losses, worked by hand; against the published code in test_golden.py."""

import numpy as np

from dataselect.data.scores import PoolInfo, Rows
from dataselect.score.ifd import ifd


def test_the_ratio_of_losses_up_to_1_of_rows_that_are_not_truncated():
    features = {
        "response_nll": np.float32([1.0, 3.0, 1.0, np.nan, 1.0, 2.0]),
        "direct_nll": np.float32([2.0, 2.0, 4.0, 2.0, 0.0, 2.0]),
        "cut": np.asarray([False, False, True, False, False, False]),
    }
    scorer = ifd()
    assert set(scorer.inputs) == set(features)
    rows = Rows([str(number) for number in range(6)], ["s"] * 6, features)
    scores = scorer.prepare(PoolInfo(6, ["s"]), None).score(rows)
    assert scores.dtype == np.float32
    # 1.5 (the instruction hurts), truncated, unknown and infinite ratios are no candidates.
    assert scores[:, 0].tolist() == [0.5, -np.inf, -np.inf, -np.inf, -np.inf, 1.0]
