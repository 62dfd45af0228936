"""A measured number as the score, the highest or the lowest first."""

import numpy as np
import pytest

from dataselect.data.scores import PoolInfo, Rows
from dataselect.score.measure import measure
from tests.helpers import mistake


@pytest.mark.parametrize(("best", "sign"), [("highest", 1), ("lowest", -1)])
def test_the_number_or_its_negative(best, sign):
    scorer = measure(name="tokens", best=best)
    assert scorer.inputs == ("tokens",)
    rows = Rows(["x", "y", "z"], ["s"] * 3, {"tokens": np.float32([3, np.nan, 7])})
    scores = scorer.prepare(PoolInfo(3, ["s"]), None).score(rows)
    assert scores[:, 0].tolist() == [sign * 3, -np.inf, sign * 7]


def test_a_vector_is_no_number():
    rows = Rows(["x"], ["s"], {"vectors": np.ones((1, 3), np.float32)})
    scorer = measure(name="vectors").prepare(PoolInfo(1, ["s"]), None)
    assert "one number per row; `vectors` has a vector" in mistake(scorer.score, rows)
