"""Budgets in params.yaml, and how many rows they are."""

import polars as pl
import pytest

from dataselect.data.budget import budget_rows, parse_budget
from tests.helpers import change, mistake, planned


@pytest.mark.parametrize(
    "given",
    [
        0,
        -300,
        "abc",
        "0%",
        "-5%",
        "200%",
        "100.1%",
        "%",
        "5%%",
        "nan%",
        "inf%",
        2.5,
        True,
        [5],
        "300",
    ],
    ids=str,
)
def test_a_wrong_budget_is_refused(home, given):
    change({"budget": given})
    assert mistake(planned) == (
        "params.yaml: budget: expected a whole number of rows above 0, or a share of the pool "
        f'above 0% and at most 100%, like "5%"; found {given!r}. Fix it there.'
    )


@pytest.mark.parametrize("given", [1, 300, "5%", "0.5%", "100%"])
def test_a_right_budget_is_taken(home, given):
    change({"budget": given})
    assert planned().aggregate.budget == given
    assert parse_budget(given) == given


DROPPED = pl.DataFrame({"reason": ["duplicate of a", "empty", "duplicate of b", "bad row: x"]})


@pytest.mark.parametrize(
    ("given", "height", "rows"),
    [
        (10, 10, 10),
        ("100%", 10, 10),
        ("5%", 100, 5),
        ("5%", 39, 1),
        ("1%", 10, 1),
        ("99.9%", 10, 9),
    ],
)
def test_a_budget_in_rows(given, height, rows):
    assert budget_rows(given, height, DROPPED) == rows


def test_a_budget_above_the_pool():
    assert mistake(budget_rows, 11, 10, DROPPED) == (
        "budget: 11 rows; the pool has 10 (after removing 2 exact duplicates and 2 other "
        "rows). Lower `budget` in params.yaml to at most 10."
    )
