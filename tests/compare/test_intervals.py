"""Intervals, p-values and sizes, against printed tables and by hand."""

import pytest
from scipy import stats

from dataselect.compare.intervals import (
    clopper_pearson,
    holm,
    minimum_detectable,
    t_interval,
    t_p_value,
    wilson,
)


def test_the_interval_and_p_of_t():
    assert t_interval(1.0, 0.5, 4) == pytest.approx((1 - 2.776 * 0.5, 1 + 2.776 * 0.5), abs=1e-3)
    assert t_interval(0.0, 1.0, 1e9, 0.9) == pytest.approx((-1.6449, 1.6449), abs=1e-4)
    assert t_p_value(2.776, 1.0, 4) == pytest.approx(0.05, abs=1e-4)
    assert t_p_value(-2.776, 1.0, 4) == t_p_value(2.776, 1.0, 4)


def test_p_is_below_5_percent_where_the_interval_leaves_out_0():
    for value in (1.0, 2.0, 2.77, 2.78, 5.0):
        low, _ = t_interval(value, 1.0, 4)
        assert (t_p_value(value, 1.0, 4) < 0.05) == (low > 0)


def test_with_many_tests_the_detectable_difference_is_2_8_standard_errors():
    assert minimum_detectable(1.0, 1e6) == pytest.approx(1.95996 + 0.84162, abs=1e-3)
    assert minimum_detectable(0.02, 1e6, alpha=0.01, power=0.9) == pytest.approx(
        0.02 * (2.57583 + 1.28155), abs=1e-4
    )


@pytest.mark.parametrize("dof", [1.3, 2, 4, 30])
def test_the_detectable_difference_is_found_with_the_power(dof):
    estimated = stats.chi(dof, scale=dof**-0.5).mean()  # of a standard error of 1, on average
    size = minimum_detectable(estimated, dof, power=0.8)
    found = 1 - stats.nct.cdf(stats.t.ppf(0.975, dof), dof, size)
    assert found == pytest.approx(0.8, abs=1e-4)


def test_holm_by_hand():
    # Sorted: 0.01 · 4, 0.02 · 3, 0.03 · 2, which may not be below the one before, 0.9.
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]


def test_wilson_against_a_published_example():
    # Newcombe (1998, Statistics in Medicine 17), table I: 81 of 263 and 0 of 20.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1.0, 20)[1] == 1.0


def test_clopper_pearson_against_a_published_example():
    # Newcombe's table I again.
    assert clopper_pearson(81, 263) == pytest.approx((0.2527, 0.3676), abs=5e-5)
    assert clopper_pearson(0, 20) == pytest.approx((0.0, 0.1684), abs=5e-5)
    assert clopper_pearson(20, 20)[1] == 1.0
