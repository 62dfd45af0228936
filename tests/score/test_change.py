"""What training changed, worked by hand."""

import numpy as np

from dataselect.data.scores import PoolInfo, Rows
from dataselect.score.change import change
from tests.helpers import mistake


def scored(features, **settings):
    """The column of scores of rows with these features."""
    arrays = {name: np.asarray(value, dtype=np.float32) for name, value in features.items()}
    count = len(next(iter(arrays.values())))
    rows = Rows([str(i) for i in range(count)], ["s"] * count, arrays)
    return change(**settings).prepare(PoolInfo(count, ["s"]), None).score(rows)[:, 0]


def test_learnability_is_the_loss_before_minus_after():
    features = {"before_nll": [5.0, 3.0, np.nan], "nll": [[4.0, 2.0], [3.0, 3.5], [1.0, 1.0]]}
    np.testing.assert_allclose(scored(features, of="nll"), [3.0, -0.5, -np.inf])


def test_the_steepest_fall_of_confidence_scores_highest():
    # Straight lines of slope −0.1 and 0.2; then 0.5 0.9 0.1: least squares (0.1 − 0.5) / 2 = −0.2.
    during = [[0.4, 0.3], [0.3, 0.5], [0.9, 0.1]]
    features = {"before_probability": [0.5, 0.1, 0.5], "probability": during}
    scores = scored(features, of="probability", by="slope")
    np.testing.assert_allclose(scores, [0.1, -0.2, 0.2], rtol=1e-5)


def test_the_change_from_an_early_checkpoint_to_a_late_one():
    features = {"before_nll": [9.0, np.nan], "nll": [[5.0, 4.0, 1.0], [5.0, 4.0, 1.0]]}
    np.testing.assert_allclose(scored(features, of="nll", early=1, late=2), [1.0, 1.0])
    np.testing.assert_allclose(scored(features, of="nll", early=1), [4.0, 4.0])
    # Least squares of 5 4 1: (5 − 1) / 2.
    np.testing.assert_allclose(scored(features, of="nll", early=1, by="slope"), [2.0, 2.0])
    np.testing.assert_allclose(scored(features, of="nll", late=1), [4.0, -np.inf])
    message = mistake(scored, features, of="nll", early=2, late=4)
    assert message.startswith(
        "the scorer `change`: expected 4 checkpoints at least; the reference left 3."
    )


def test_its_contract():
    assert change(of="nll").inputs == ("nll", "before_nll")
    assert change(of="nll").checkpoints == 1
    assert change(of="nll", early=2).checkpoints == 3
    assert change(of="nll", early=2, late=5).checkpoints == 5
