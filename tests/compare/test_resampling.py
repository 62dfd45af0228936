"""Two-way resampling: what it draws, and where it is too narrow."""

import numpy as np
import pytest
from benchmarks.simulated import Case, layout_of

from dataselect.compare.resampling import _drawn_means, _drawn_weights, resampled_interval

RNG = np.random.default_rng(3)


def test_units_are_drawn_whole_and_within_their_subtasks():
    layout = layout_of(Case(tests=20, cluster=5, subtasks=(1, 1)))
    weights = _drawn_weights(np.random.default_rng(0), layout, 50)
    assert weights.sum(axis=1) == pytest.approx(np.ones(50))
    assert weights[:, :10].sum(axis=1) == pytest.approx(np.full(50, 0.5))
    assert (weights.reshape(50, 4, 5) == weights.reshape(50, 4, 5)[:, :, :1]).all()
    assert set(np.round(np.unique(weights) * 20, 9)) == {0.0, 1.0, 2.0}


def test_with_one_seed_it_agrees_with_the_standard_error():
    first, second = RNG.normal(size=(2, 1, 400))
    layout = layout_of(Case(tests=400))
    low, high = resampled_interval(first, second, layout, resamples=2000)
    difference = (first - second)[0]
    half = 1.96 * difference.std(ddof=1) / 20
    assert (low + high) / 2 == pytest.approx(difference.mean(), abs=half / 5)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_of_two_seeds_it_has_half_the_variance():
    """(S − 1) / S is left of the variance of the seeds' mean: 0.5 / 2 here."""
    values = np.repeat([[0.0], [1.0]], 10, axis=1)
    weights = np.full((4000, 10), 0.1)
    means = _drawn_means(np.random.default_rng(0), values, weights)
    assert means.var() == pytest.approx(0.25 / 2, rel=0.1)


def test_the_same_seed_draws_the_same():
    first, second = RNG.normal(size=(2, 2, 30))
    layout = layout_of(Case(tests=30))
    results = [resampled_interval(first, second, layout, seed, 150) for seed in (1, 1, 2)]
    assert results[0] == results[1] != results[2]
