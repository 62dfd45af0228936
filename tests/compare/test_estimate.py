"""Estimates by hand, and on simulated scores: benchmarks/comparisons.py has many more of these."""

import numpy as np
import pytest
from benchmarks.simulated import Case, draw, effect_for, layout_of

from dataselect.compare.estimate import estimate
from dataselect.compare.intervals import clopper_pearson, minimum_detectable, t_p_value
from dataselect.compare.variance import Layout, between_units, residual

RNG = np.random.default_rng(5)
BOTH = (False, False)
REPEATS = 1500


def test_a_difference_is_that_of_the_means():
    layout = layout_of(Case(tests=50))
    first, second = RNG.normal(size=(3, 50)) + 1, RNG.normal(size=(2, 50))
    value = estimate((first, second), layout, BOTH)
    assert value.value == pytest.approx(first.mean() - second.mean())
    both = residual(first, layout).variance + residual(second, layout).variance
    assert value.residual == pytest.approx(both)
    assert value.stderr**2 == pytest.approx(value.seeds + value.tests + value.residual)
    assert estimate((first,), layout, BOTH[:1]).value == pytest.approx(first.mean())


def test_a_part_below_0_counts_as_0():
    layout = layout_of(Case(tests=4))
    first = np.array([[1.0, 0, 1, 0], [0, 1, 0, 1]])  # all seeds and all tests have the same mean
    value = estimate((first, np.zeros((2, 4))), layout, BOTH)
    assert (value.seeds, value.tests) == (0, 0)
    assert value.stderr**2 == pytest.approx(residual(first, layout).variance)


def test_with_one_seed_the_variance_is_that_between_tests():
    layout = layout_of(Case(tests=40))
    first, second = RNG.normal(size=(1, 40)), RNG.normal(size=(3, 40))
    value = estimate((first, second), layout, BOTH)
    assert value.seeds is None
    expected = between_units(first[0] - second.mean(axis=0), layout)
    assert (value.stderr**2, value.dof) == pytest.approx(expected)


def test_a_fixed_model_has_no_seeds_to_vary():
    layout = layout_of(Case(tests=40))
    drawn, fixed = RNG.normal(size=(3, 40)), RNG.normal(size=(1, 40))
    value = estimate((drawn, fixed), layout, (False, True))
    assert value.seeds is not None
    assert value.residual == pytest.approx(residual(drawn, layout).variance)


def test_one_test_says_nothing_of_others():
    layout = Layout.make(np.ones(1), np.zeros(1, int), np.zeros(1, int))
    value = estimate((np.ones((2, 1)), np.zeros((2, 1))), layout, BOTH)
    assert (value.value, value.tests, value.stderr, value.dof) == (1.0, None, None, None)


def test_the_order_of_tests_and_seeds_changes_nothing():
    first, second = RNG.normal(size=(2, 3, 30))
    layout = layout_of(Case(tests=30))
    value = estimate((first, second), layout, BOTH)
    order = RNG.permutation(30)
    other = estimate((first[::-1][:, order], second[:, order]), layout, BOTH)
    assert other.stderr == pytest.approx(value.stderr)
    assert other.dof == pytest.approx(value.dof)


def rates(case, effect=0.0):
    """Of `REPEATS` draws: the share in which a difference is found, and the mean stated size."""
    rng = np.random.default_rng(11)
    layout, found, sizes = layout_of(case), 0, []
    for _ in range(REPEATS):
        first, second = draw(case, effect, rng)
        value = estimate((first[0], second[0]), layout, BOTH)
        found += t_p_value(value.value, value.stderr, value.dof) < 0.05
        sizes.append(minimum_detectable(value.stderr, value.dof))
    return found, float(np.mean(sizes))


CASES = [
    Case(seeds=(n, n), seed_sd=(0.1, 0.1), cluster=cluster, binary=binary, tests=200)
    for n, cluster, binary in ((2, 1, True), (3, 5, False), (5, 5, True))
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.seeds[0]} seeds")
def test_false_alarms_and_power_are_as_stated(case):
    """The exact 99.9 % interval of the measured rate reaches into what is allowed."""
    alarms, size = rates(case)
    low, high = clopper_pearson(alarms, REPEATS, level=0.999)
    assert low <= 0.065
    assert high >= 0.035
    found, _ = rates(case, effect_for(case, size))
    low, high = clopper_pearson(found, REPEATS, level=0.999)
    assert low <= 0.85
    assert high >= 0.75
