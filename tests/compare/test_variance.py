"""Variances of a mean, by hand and against the textbook's formulas."""

import numpy as np
import polars as pl
import pytest

from dataselect.compare.variance import (
    Layout,
    Part,
    between_seeds,
    between_units,
    residual,
    satterthwaite,
)

RNG = np.random.default_rng(7)


def layout(clusters, subtasks=None):
    """Of a task whose tests have these clusters, and subtasks."""
    count = len(clusters)
    ids = pl.Series([str(i) for i in range(count)])
    subtasks = pl.Series(subtasks or [None] * count, dtype=pl.String)
    return Layout.of_task(ids, subtasks, pl.Series(clusters, dtype=pl.String))


def test_the_variance_between_tests_is_the_square_of_the_standard_error():
    values = RNG.normal(size=40)
    part = between_units(values, layout([None] * 40))
    assert part.variance == pytest.approx(values.var(ddof=1) / 40)
    assert part.dof == pytest.approx(39)


def test_clusters_of_equal_size_count_as_their_means():
    values = RNG.normal(size=30)
    part = between_units(values, layout([f"c{i // 3}" for i in range(30)]))
    means = values.reshape(10, 3).mean(axis=1)
    assert part.variance == pytest.approx(means.var(ddof=1) / 10)
    assert part.dof == pytest.approx(9)


def test_clusters_of_unequal_size_by_hand():
    # Mean 2; sums of deviations: a −1 + 0 = −1, b 1; shares 2/3 and 1/3.
    part = between_units(np.array([1.0, 2.0, 3.0]), layout(["a", "a", "b"]))
    assert part.variance == pytest.approx((1 / 9) / (1 / 3) + (1 / 9) / (2 / 3))
    a, b = (4 / 9) / (1 / 3), (1 / 9) / (2 / 3)
    assert part.dof == pytest.approx(1 / (4 / 9 + 1 / 9 + 2 * a * b))


def test_a_test_without_a_cluster_is_its_own():
    named = layout(["x", None, None, "x"])
    assert named.unit_count == 3
    assert layout(["0", None], None).unit_count == 2  # a cluster's name is no test's id


def test_the_mean_of_subtasks_means_has_their_variances():
    values = RNG.normal(size=30)
    subtasks = ["a"] * 10 + [None] * 20
    whole = layout([None] * 30, subtasks)
    assert values @ whole.weights == pytest.approx((values[:10].mean() + values[10:].mean()) / 2)
    parts = [values[:10].var(ddof=1) / 10, values[10:].var(ddof=1) / 20]
    part = between_units(values, whole)
    assert part.variance == pytest.approx(sum(parts) / 4)
    assert part.dof == pytest.approx(sum(parts) ** 2 / (parts[0] ** 2 / 9 + parts[1] ** 2 / 19))


def test_a_cluster_over_two_subtasks_varies_as_a_whole():
    values = np.array([1.0, -1.0, 1.0, -1.0])
    subtasks = ["a", "a", "b", "b"]
    apart = between_units(values, layout([None] * 4, subtasks)).variance
    together = between_units(values, layout(["x", "y", "x", "y"], subtasks)).variance
    opposed = between_units(values, layout(["x", "y", "y", "x"], subtasks)).variance
    assert together == pytest.approx(2 * apart)
    assert opposed == pytest.approx(0)


def test_subtasks_of_one_test_are_compared_with_each_other():
    values = np.array([0.0, 1.0, 5.0, 6.0, 7.0])
    part = between_units(values, layout([None] * 5, ["a", "b", "c", "c", "c"]))
    singles = ((0.5 / 3) ** 2 / 0.5) * 2
    assert part.variance == pytest.approx(singles + (1 / 3) / 9)
    assert not layout([None]).measurable
    assert not layout(["x", "x"], ["a", "b"]).measurable
    assert layout([None] * 3, ["a", "b", "b"]).measurable  # the single one joins the other


def test_the_mean_over_tasks_has_the_sum_of_their_variances():
    first, second = layout([None] * 8), layout(["a", "a", "b", "b", "c", "c"])
    values = RNG.normal(size=14)
    part = between_units(values, Layout.mean_over([first, second]))
    parts = [between_units(values[:8], first), between_units(values[8:], second)]
    assert part.variance == pytest.approx(sum(p.variance for p in parts) / 4)
    assert part.dof == pytest.approx(satterthwaite(sum(p.variance for p in parts), parts))


def test_seeds_and_residual_are_those_of_a_two_way_table():
    values = RNG.normal(size=(3, 20)) + RNG.normal(size=(3, 1))
    whole = layout([None] * 20)
    seeds, tests = values.mean(axis=1), values.mean(axis=0)
    part = between_seeds(values, whole)
    assert part == pytest.approx((seeds.var(ddof=1) / 3, 2))
    rest = values - seeds[:, None] - tests + values.mean()
    mean_square = (rest**2).sum() / (2 * 19)
    part = residual(values, whole)
    assert part.variance == pytest.approx(mean_square / 60)
    assert part.dof == pytest.approx(38)


def test_the_sum_of_the_parts_has_the_right_mean():
    """Seeds 0.04 / 3, clusters 0.25 / 10, residuals of clusters and tests: what is simulated."""
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(10), 4)
    whole = layout([str(c) for c in clusters])
    totals, means = [], []
    for _ in range(3000):
        values = 0.2 * rng.normal(size=(3, 1)) + 0.5 * rng.normal(size=10)[clusters]
        values = values + 0.4 * rng.normal(size=(3, 10))[:, clusters] + rng.normal(size=(3, 40))
        total = between_seeds(values, whole).variance - residual(values, whole).variance
        totals.append(total + between_units(values.mean(axis=0), whole).variance)
        means.append(values.mean())
    expected = 0.04 / 3 + 0.25 / 10 + 0.16 / 30 + 1 / 120
    assert np.mean(totals) == pytest.approx(expected, rel=0.05)
    assert np.var(means) == pytest.approx(expected, rel=0.1)


def test_degrees_of_freedom_by_hand():
    parts = [Part(3.0, 2), Part(1.0, 10)]
    assert satterthwaite(4.0, parts) == pytest.approx(16 / (9 / 2 + 1 / 10))
    assert satterthwaite(0.5, parts) == 2  # after a subtraction, never below the smallest
    assert satterthwaite(0.0, [Part(0.0, 5), Part(0.0, 3)]) == 3
