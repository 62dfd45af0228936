"""Comparisons of methods with a baseline, from runs to differences."""

import re

import numpy as np
import polars as pl
import pytest

from dataselect.compare.intervals import holm, minimum_detectable, t_interval, t_p_value
from dataselect.compare.scores import MEAN, RunScores
from dataselect.compare.statistics import compare
from tests.helpers import ROOT, mistake

TESTS = 60


def runs(method, mean, seeds=(0, 1, 2), budget=300, tasks=("a", "b"), tests=TESTS):
    """Runs of a method with scores around a mean; tests are as hard for every method."""
    found = []
    for seed in seeds:
        frames = []
        for task in tasks:
            hard = np.random.default_rng(sum(map(ord, task))).normal(size=tests)
            noise = np.random.default_rng([seed or 0, *map(ord, f"{method}{budget}{task}")])
            frames.append(
                pl.DataFrame(
                    {
                        "task": [task] * tests,
                        "id": [str(i) for i in range(tests)],
                        "value": mean + hard + 0.3 * noise.normal(size=tests),
                    }
                )
            )
        found.append(RunScores(method, budget, seed, pl.concat(frames)))
    return found


def test_a_difference_of_each_task_and_of_their_mean():
    found = compare([*runs("x", 1.0), *runs("random", 0.0)], "random")
    assert [d.task for d in found] == ["a", "b", MEAN]
    for difference in found:
        assert difference.method == ("x", 300)
        assert difference.baseline == ("random", 300)
        assert difference.seeds == (3, 3)
        assert difference.about_methods
        assert difference.shown
        assert difference.interval[0] < 1.0 < difference.interval[1]
        value = difference.estimate
        assert difference.interval == t_interval(value.value, value.stderr, value.dof)
        assert difference.p == t_p_value(value.value, value.stderr, value.dof)
        assert difference.p_holm == difference.p
        assert difference.minimum_detectable == pytest.approx(
            minimum_detectable(value.stderr, value.dof), rel=1e-6
        )
        assert difference.resampled is None
    assert found[2].difference == pytest.approx((found[0].difference + found[1].difference) / 2)
    assert [d.tests for d in found] == [60, 60, 120]
    means = [d.estimate.tests + d.estimate.residual for d in found]
    assert means[2] <= (means[0] + means[1]) / 4 + 1e-12  # Σ variance / T²


def test_what_a_seed_does_to_all_tasks_does_not_average_out():
    """Σ variance / T² of the seeds' part would halve it with two tasks."""
    shifted = []
    for run, shift in zip(runs("x", 0.0), (-1.0, 0.0, 1.0), strict=True):
        frame = run.tests.with_columns(pl.col("value") + shift)
        shifted.append(RunScores("x", 300, run.seed, frame))
    a, b, mean = compare([*shifted, *runs("random", 0.0)], "random")
    assert mean.estimate.seeds == pytest.approx((a.estimate.seeds + b.estimate.seeds) / 2, rel=0.1)
    assert mean.estimate.seeds == pytest.approx(1 / 3, rel=0.1)


def test_methods_compared_with_one_baseline_share_a_correction():
    all_runs = [run for name in ("x", "y", "z", "random") for run in runs(name, 0.02 * len(name))]
    found = [d for d in compare(all_runs, "random") if d.task == "a"]
    assert [d.method[0] for d in found] == ["x", "y", "z"]
    assert [d.p_holm for d in found] == holm([d.p for d in found])
    assert {d.compared for d in found} == {3}
    value = found[0].estimate
    strictest = minimum_detectable(value.stderr, value.dof, alpha=0.05 / 3)
    assert found[0].minimum_detectable == pytest.approx(strictest, rel=1e-6)


def test_every_budget_is_compared_with_the_baselines_own():
    both = [*runs("random", 0.0), *runs("random", 0.0, budget="5%")]
    found = compare([*runs("x", 1.0), *runs("x", 2.0, budget="5%"), *both], "random")
    pairs = {(d.method, d.baseline) for d in found}
    assert pairs == {(("x", 300), ("random", 300)), (("x", "5%"), ("random", "5%"))}
    only = compare([*runs("x", 1.0), *runs("all", 0.0, budget=9000)], "all")
    assert {d.baseline for d in only} == {("all", 9000)}
    message = mistake(compare, [*runs("x", 1.0, budget=7), *both], "random")
    assert "random has runs at the budgets 300, 5%, and none at 7, as x has" in message


def test_with_one_seed_it_is_about_the_models():
    found = compare([*runs("x", 1.0, seeds=(0,)), *runs("random", 0.0)], "random")
    assert not any(d.about_methods for d in found)
    assert found[0].seeds == (1, 3)
    before = compare([*runs("x", 1.0), *runs("base", 0.0, seeds=(None,), budget=None)], "base")
    assert all(d.about_methods for d in before)
    assert before[0].seeds == (3, 0)
    assert before[0].baseline == ("base", None)


def test_where_the_variance_is_unknown_there_is_no_interval():
    one_test = [*runs("x", 1.0, tests=1), *runs("random", 0.0, tests=1)]
    for d in compare(one_test, "random"):
        assert (d.interval, d.p, d.p_holm, d.minimum_detectable) == (None, None, None, None)
        assert not d.shown
    always = [
        RunScores(run.method, 300, run.seed, run.tests.with_columns(value=pl.lit(value)))
        for name, value in (("x", 1.0), ("random", 0.0))
        for run in runs(name, 0.0)
    ]
    for d in compare(always, "random"):
        assert (d.difference, d.interval) == (pytest.approx(1.0), None)


def test_an_unknown_p_still_counts_in_the_correction():
    (base,) = runs("base", 0.0, seeds=(None,), budget=None)
    copy = RunScores("copy", None, None, base.tests)
    x, same = (d for d in compare([*runs("x", 0.1), copy, base], "base") if d.task == "a")
    assert (same.difference, same.p, same.p_holm) == (0, None, None)
    assert 0 < x.p_holm == pytest.approx(2 * x.p)


def test_resampling_stands_beside_where_asked_for():
    found = compare([*runs("x", 1.0), *runs("random", 0.0)], "random", resamples=200)
    for d in found:
        assert d.resampled[0] < d.difference < d.resampled[1]


def test_only_shared_tests_where_asked_for():
    some, many = runs("x", 1.0, tests=50), runs("random", 0.0, tests=60)
    assert "20 tests are not in all runs" in mistake(compare, [*some, *many], "random")
    found = compare([*some, *many], "random", mismatch="shared")
    assert [(d.tests, d.left_out) for d in found] == [(50, 20), (50, 20), (100, 20)]


def test_an_unknown_baseline_is_refused():
    message = mistake(compare, [*runs("x", 0.0), *runs("random", 0.0)], "ramdon")
    assert "baseline: no run of `ramdon`. Did you mean `random`?" in message
    assert "all runs are of random" in mistake(compare, runs("random", 0.0), "random")


def test_the_example_of_the_page_runs(capsys):
    page = (ROOT / "docs/python.md").read_text()
    *_, example = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    exec(compile(example, "docs/python.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "task sums: rds at 300" in printed
    assert "+30.0 points" in printed
