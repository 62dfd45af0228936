"""Amounts, patterns of sources, weights and the order of the training file."""

import numpy as np
import pytest

from dataselect.data.mix import (
    divide,
    group_weights,
    match_sources,
    read_bounds,
    training_order,
)
from dataselect.data.scores import Group
from tests.helpers import mistake


def divided(sources, total):
    return divide(read_bounds(sources), total, "rows")


@pytest.mark.parametrize(
    ("sources", "total", "at_least", "at_most"),
    [
        ({"a": 3}, 10, [3], [3]),
        ({"a": "30%"}, 10, [3], [3]),
        ({"a": "30%"}, 9, [2], [2]),  # 2.7
        ({"a": {"at_most": "30%"}}, 9, [0], [2]),
        ({"a": {"at_least": "30%"}}, 9, [2], [9]),
        ({"a": {"at_least": 2, "at_most": 4}}, 9, [2], [4]),
        ({"a": {"at_most": 40}}, 9, [0], [9]),
        # Thirds of 10: 3.33 each; the row that is missing goes to the first of equals.
        ({"a": "1%", "b": "33%", "c": "33%", "d": "33%"}, 10, [0, 4, 3, 3], [0, 4, 3, 3]),
        ({"a": "50%", "b": "50%"}, 3, [2, 1], [2, 1]),
        # 1.8 and 2.2: what is missing goes to the larger remainder, though the maximum is 1.8.
        ({"a": {"at_least": "45%", "at_most": "46%"}, "b": "55%"}, 4, [2, 2], [2, 2]),
        ({"a": 0}, 5, [0], [0]),
    ],
)
def test_shares_become_whole_rows(sources, total, at_least, at_most):
    assert divided(sources, total) == (at_least, at_most)


@pytest.mark.parametrize("seed", range(5))
def test_shares_of_the_whole_are_the_whole(seed):
    draw = np.random.default_rng(seed)
    percents = np.diff([0, *np.sort(draw.integers(0, 101, 4)).tolist(), 100])
    sources = {f"s{i}": f"{percent}%" for i, percent in enumerate(percents)}
    for total in draw.integers(1, 1_000, 20).tolist():
        at_least, at_most = divided(sources, total)
        assert sum(at_least) == total
        assert at_least == at_most
        exact = percents * total / 100
        assert (np.abs(np.asarray(at_least) - exact) < 1).all()


@pytest.mark.parametrize("given", [-1, 1.5, True, None, [1], "abc", "5", "101%", "nan%", "1/0%"])
def test_an_amount_that_is_none_is_refused(given):
    assert mistake(read_bounds, {"code": {"at_least": given}}) == (
        "params.yaml: mix.sources.code.at_least: expected a whole number from 0 on, or a share of "
        f'the budget like "30%"; found {given!r}. Fix it there.'
    )


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (
            {"a": {"at_lest": 3}},
            "mix.sources.a: unknown setting `at_lest`. Did you mean `at_least`",
        ),
        ({"a": {}}, "mix.sources.a: expected `at_least`, `at_most` or both; found none. Add them."),
        ({"a": {"at_least": 5, "at_most": 4}}, "a: at_least (5) is above at_most (4). Fix one"),
        ({"a": {"at_least": "5%", "at_most": "4.5%"}}, "at_least (5%) is above at_most (4.5%)"),
        (
            {"a": "60%", "b": {"at_least": "50%"}},
            "expected minimums of at most 100% together; found 110%.",
        ),
        (
            {"a": "60%", "b": "40%", "c": 1},
            "found 100%, and 1 more are to be of others. Lower them",
        ),
    ],
)
def test_quotas_that_contradict_themselves_are_refused(sources, expected):
    assert expected in mistake(read_bounds, sources)


def test_quotas_that_a_budget_cannot_meet_are_refused():
    assert mistake(divided, {"a": 7, "b": "40%"}, 10) == (
        "params.yaml: mix.sources: the minimums add up to 11 rows; the budget is 10. Lower them, "
        "or raise `budget`."
    )
    assert mistake(divided, {"a": {"at_least": 7, "at_most": "40%"}}, 10) == (
        "params.yaml: mix.sources.a: with this budget at_least is 7 and at_most 4. Fix one of the "
        "two."
    )


def test_a_name_stands_before_patterns_and_patterns_stand_for_many():
    sources = ["science_a", "science_b", "code", "[x]", "none"]
    assert match_sources(["science*", "science_b", "[x]"], sources, "here") == {
        "[x]": "[x]",
        "science_a": "science*",
        "science_b": "science_b",
    }
    assert mistake(match_sources, ["science*", "*_a"], sources, "here") == (
        "here: the source `science_a` is matched by science*, *_a. Expected one. Add `science_a` "
        "by its name, or change the patterns."
    )
    assert mistake(match_sources, ["cod"], sources, "here").startswith(
        "here: `cod` is no source of the pool: none has that name, all its rows were dropped, or "
        "other entries name all that match. Did you mean `code`? There are:"
    )


def test_a_groups_weight_is_its_tasks():
    groups = [Group("q1", "a"), Group("q2", "a"), Group("q3", "b"), Group("x", None)]
    assert group_weights({"a": 2}, groups).tolist() == [2, 2, 1, 1]
    assert mistake(group_weights, {"aa": 2}, groups) == (
        "params.yaml: mix.tasks: the method has no groups of a task `aa`. Did you mean `a`? There "
        "are: a, b."
    )
    assert mistake(group_weights, {"a": 2}, groups[3:]).endswith("belong to no task.")


def test_copies_come_after_all_rows_in_the_order_of_choice():
    sources = ["a", "b", "a", "c"]
    assert training_order(sources, {"a": 3, "c": 2}).tolist() == [0, 1, 2, 3, 0, 2, 3, 0, 2]
    assert training_order(sources, {}).tolist() == [0, 1, 2, 3]
