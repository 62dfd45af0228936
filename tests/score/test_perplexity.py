"""The three orders of losses, worked by hand; against the published lists in test_golden.py."""

import numpy as np
import pytest

from dataselect.data.scores import Group, Pool, PoolInfo, Rows
from dataselect.score import PoolScorer, RowScorer
from dataselect.score.perplexity import perplexity

NLL = np.float32([2, np.nan, 5, 1, 4, 3])


def rows_of(nll, first=0, name="whole_nll"):
    ids = [str(first + number) for number in range(len(nll))]
    return Rows(ids, ["s"] * len(ids), {name: nll})


def column(**settings):
    """The scores of `NLL`, from a pool of blocks of four and two rows."""
    blocks = [rows_of(NLL[:4]), rows_of(NLL[4:], 4)]
    groups, scores = perplexity(**settings).score(Pool(PoolInfo(6, ["s"]), blocks))
    assert groups == [Group("pool", None)]
    return np.concatenate(list(scores))[:, 0].tolist()


def test_the_highest_losses_need_no_other_row():
    scorer = perplexity(of="response")
    assert isinstance(scorer, RowScorer)
    assert scorer.inputs == ("response_nll",)
    prepared = scorer.prepare(PoolInfo(6, ["s"]), None)
    scores = prepared.score(rows_of(NLL, name="response_nll"))
    assert scores[:, 0].tolist() == [2, -np.inf, 5, 1, 4, 3]


def test_from_a_rank_on_the_first_rows_are_no_candidates():
    # int(0.34 · 6) = 2 of the rows are skipped: those with losses 5 and 4.
    expected = [2, -np.inf, -np.inf, 1, -np.inf, 3]
    assert column(best="from_rank", start=0.34) == expected


def test_the_nearest_to_the_median_of_the_finite_losses_is_best():
    assert column(best="median") == [-1, -np.inf, -2, -2, -1, 0]


@pytest.mark.parametrize("best", ["from_rank", "median"])
def test_ranks_need_the_whole_pool(best):
    scorer = perplexity(best=best)
    assert isinstance(scorer, PoolScorer)
    assert scorer.inputs == ("whole_nll",)


def test_the_lower_of_two_middle_losses_is_the_median():
    blocks = [rows_of(np.float32([1, 2, 4, 8]))]
    _, scores = perplexity(best="median").score(Pool(PoolInfo(4, ["s"]), blocks))
    assert next(scores)[:, 0].tolist() == [-1, 0, -2, -6]


def test_a_pool_without_a_finite_loss_has_no_candidates():
    blocks = [rows_of(np.float32([np.nan, np.inf]))]
    _, scores = perplexity(best="median").score(Pool(PoolInfo(2, ["s"]), blocks))
    assert np.isneginf(next(scores)).all()
