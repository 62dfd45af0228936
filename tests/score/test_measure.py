"""A measured number as the score, the highest or the lowest first."""

import numpy as np
import pytest

from dataselect.data.scores import PoolInfo, Rows
from dataselect.score.measure import measure


@pytest.mark.parametrize(("best", "sign"), [("highest", 1), ("lowest", -1)])
def test_the_number_or_its_negative(best, sign):
    scorer = measure(name="tokens", best=best)
    assert scorer.inputs == ("tokens",)
    rows = Rows(["x", "y", "z"], ["s"] * 3, {"tokens": np.float32([3, np.nan, 7])})
    scores = scorer.prepare(PoolInfo(3, ["s"]), None).score(rows)
    assert scores[:, 0].tolist() == [sign * 3, -np.inf, sign * 7]
