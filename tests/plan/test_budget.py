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
    ],
    ids=str,
)
def test_a_wrong_budget_is_refused(home, given):
    change({"budget": given})
    assert mistake(planned) == (
        "params.yaml: budget: expected a whole number of rows above 0, or a share of the pool "
        f'above 0% and at most 100%, like "5%"; found {given!r}. Fix it there.'
    )


@pytest.mark.parametrize(
    ("given", "right"),
    [
        (0.05, '"5%"'),
        ("0.05", '"5%"'),
        (0.333, '"33.3%"'),
        ("10k", "10000"),
        ("1.5M", "1500000"),
        ("10,000", "10000"),
        ("10 000", "10000"),
        ("300", "300"),
        (300.0, "300"),
    ],
)
def test_a_budget_in_another_form_gets_the_right_one_as_an_answer(home, given, right):
    change({"budget": given})
    message = mistake(planned)
    assert f"found {given!r}. Write {right}." in message
    assert "expected a whole number of rows above 0, or a share" in message


@pytest.mark.parametrize("given", [1, 300, "5%", "0.5%", "100%"])
def test_a_right_budget_is_taken(home, given):
    change({"budget": given})
    assert planned().aggregate.budget == given
    assert parse_budget(given) == given


DROPPED = pl.DataFrame({"reason": ["duplicate", "empty", "duplicate", "bad row"]})


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
