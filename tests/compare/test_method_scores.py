"""The scores of methods by themselves, with their intervals."""

import numpy as np
import polars as pl
import pytest

from dataselect.compare.intervals import t_interval, wilson
from dataselect.compare.method_scores import method_scores
from dataselect.compare.scores import MEAN, RunScores
from tests.helpers import mistake


def runs(values, method="x", tasks=("t",)):
    """A run for each row of values (seeds × tests), the same in every task."""
    return [
        RunScores(
            method,
            300,
            seed,
            pl.DataFrame(
                {
                    "task": np.repeat(tasks, len(row)),
                    "id": [str(i) for i in range(len(row))] * len(tasks),
                    "value": np.tile(np.asarray(row, float), len(tasks)),
                }
            ),
        )
        for seed, row in enumerate(values)
    ]


def test_few_right_or_wrong_answers_have_wilsons_interval():
    (score,) = method_scores(runs([[1] * 8 + [0] * 2]))
    variance = 0.8 * 0.2 / 9  # of the mean: s² / n
    assert score.estimate.stderr**2 == pytest.approx(variance)
    assert score.interval == pytest.approx(wilson(0.8, 0.16 / variance))
    (score,) = method_scores(runs([[1] * 10]))
    assert score.interval == pytest.approx(wilson(1.0, 10))


def test_many_tests_and_other_values_have_that_of_t():
    for values in ([[1] * 80 + [0] * 40] * 2, [[0.5, 0.25, 1.0]] * 2):
        (score,) = method_scores(runs(values))
        value = score.estimate
        assert score.interval == t_interval(value.value, value.stderr, value.dof)
        assert (score.seeds, score.tests) == (2, len(values[0]))


def test_without_any_variance_there_is_no_interval():
    (score,) = method_scores(runs([[0.5] * 10] * 2))
    assert (score.estimate.stderr, score.interval) == (0.0, None)
    (score,) = method_scores(runs([[1.0]] * 2))
    assert score.interval is None


def test_every_method_has_its_tasks_and_their_mean():
    found = method_scores([*runs([[1, 0]] * 2, tasks=("a", "b")), *runs([[1, 1]], method="y")])
    assert [(s.method[0], s.task, s.estimate.value, s.seeds) for s in found] == [
        ("x", "a", 0.5, 2),
        ("x", "b", 0.5, 2),
        ("x", MEAN, 0.5, 2),
        ("y", "t", 1.0, 1),
    ]


def test_runs_of_one_method_on_other_tests_are_refused():
    assert "1 tests are not in all runs" in mistake(method_scores, runs([[1, 0], [1]]))
