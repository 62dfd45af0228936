"""Runs test by test: what is paired, and what is refused."""

import numpy as np
import polars as pl
import pytest

from dataselect.compare.scores import (
    MEAN,
    RunScores,
    by_condition,
    check_runs,
    condition_name,
    pair,
    with_mean,
)
from tests.helpers import mistake


def run(method, seed, rows, budget=300, **columns):
    """A run with tests of (task, id, value)."""
    frame = pl.DataFrame(rows, schema={"task": str, "id": str, "value": float}, orient="row")
    return RunScores(method, budget, seed, frame.with_columns(**columns))


ROWS = [("a", "1", 1.0), ("a", "2", 0.0), ("b", "1", 0.5), ("b", "2", 0.25)]


def test_values_are_paired_by_task_and_id_whatever_their_order():
    first = [run("x", seed, [(t, i, v + seed) for t, i, v in ROWS]) for seed in (0, 1)]
    second = [run("y", 0, ROWS[::-1])]
    paired = pair(first, second)
    assert list(paired.tasks) == ["a", "b"]
    task = paired.tasks["a"]
    assert task.first.tolist() == [[1.0, 0.0], [2.0, 1.0]]
    assert task.second.tolist() == [[1.0, 0.0]]
    assert (paired.left_out, paired.fixed) == (0, (False, False))
    assert pair(first, [run("base", None, ROWS)]).fixed == (False, True)


def test_the_mean_over_tasks_weighs_tasks_alike():
    rows = [*ROWS, ("b", "3", 0.0), ("b", "4", 0.0)]
    tasks = with_mean(pair([run("x", 0, rows)], [run("y", 0, rows)]).tasks)
    mean = tasks[MEAN]
    assert mean.first[0] @ mean.layout.weights == pytest.approx((0.5 + 0.75 / 4) / 2)
    one_task = pair([run("x", 0, ROWS[:2])], [run("y", 0, ROWS[:2])]).tasks
    assert with_mean(one_task) == one_task


def test_the_score_is_that_of_the_evaluation():
    from dataselect.eval.summary import summary
    from tests.helpers import complete

    rows = [("t", str(i), float(i % 3)) for i in range(9)]
    subtasks = pl.Series(["a"] * 2 + ["b"] * 3 + [None] * 4)
    frame = run("x", 0, rows, subtask=subtasks).tests.with_columns(truncated=pl.lit(False))
    expected = summary(complete("evaluation", frame))["tasks"]["t"]["score"]
    scored = pair([RunScores("x", 3, 0, frame)], [RunScores("y", 3, 0, frame)]).tasks["t"]
    assert scored.first[0] @ scored.layout.weights == pytest.approx(expected, abs=1e-6)


def test_runs_on_other_tests_are_refused_or_compared_on_what_they_share():
    first, second = [run("x", 0, ROWS)], [run("y", 0, [*ROWS[1:], ("a", "9", 1.0)])]
    message = mistake(pair, first, second)
    assert "x at 300 and y at 300: 2 tests are not in all runs; 3 are" in message
    assert "compare them on those that they share" in message
    paired = pair(first, second, "shared")
    assert paired.left_out == 2
    assert paired.tasks["a"].first.tolist() == [[0.0]]
    nothing = mistake(pair, first, [run("y", 0, [("c", "1", 1.0)])], "shared")
    assert "0 are" in nothing
    assert "share" not in nothing.partition("Evaluate")[2]


@pytest.mark.parametrize("column", ["subtask", "cluster", "metric"])
def test_runs_that_differ_in_what_a_test_is_are_refused(column):
    first = [run("x", 0, ROWS, **{column: pl.Series(["p", "q", None, "s"])})]
    second = [run("y", 0, ROWS, **{column: pl.Series(["p", "r", None, "s"])})]
    message = mistake(pair, first, second)
    assert f"a: test 2 has the {column} q in x at 300, seed 0, and r in y" in message
    assert pair(first, first).tasks["a"].layout.unit_count == 2


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([run("x", 0, [])], "x at 300, seed 0: no test with a score"),
        ([run("x", 0, [("a", "1", None)])], "x at 300, seed 0: no test with a score"),
        ([run("x", 0, [*ROWS, ROWS[0]])], "tests that are there twice: 1 of a"),
        ([run("x", 0, [("a", "1", float("nan"))])], "1 tests have no finite value: 1 of a"),
        ([run("x", 1, ROWS), run("x", 1, ROWS)], "x at 300, seed 1: there are two runs of it"),
        ([RunScores("x", 3, 0, pl.DataFrame({"task": ["a"]}))], "no column id, value"),
    ],
)
def test_a_wrong_run_is_refused(runs, words):
    assert words in mistake(check_runs, runs)


def test_runs_are_grouped_by_method_and_budget():
    runs = [run("x", 0, ROWS), run("x", 0, ROWS, budget="5%"), run("x", 1, ROWS)]
    check_runs(runs)
    groups = by_condition(runs)
    assert {key: len(group) for key, group in groups.items()} == {("x", 300): 2, ("x", "5%"): 1}
    assert condition_name(("x", "5%")) == "x at 5%"
    assert condition_name(("base", None)) == "base"
    assert np.all([r.condition in groups for r in runs])


def test_tests_without_a_score_are_as_if_they_were_not_there():
    unscored = [("c", "1", None), ("c", "2", None)]
    first, second = [run("x", 0, [*ROWS, *unscored])], [run("y", 0, [*ROWS, unscored[0]])]
    check_runs([*first, *second])
    paired = pair(first, second)
    assert list(paired.tasks) == ["a", "b"]
    assert paired.left_out == 0
    half = [run("y", 0, [*ROWS[1:], ("a", "1", None)])]
    assert "1 tests are not in all runs" in mistake(pair, first, half)
