"""How many rows a budget is."""

from dataselect.data import tables
from dataselect.data.budget import TokenBudget, budget_rows


def test_a_share_is_rounded_down_to_at_least_one_row():
    none = tables.empty("dropped")
    assert budget_rows("5%", 999, none) == 49
    assert budget_rows("0.01%", 999, none) == 1
    assert budget_rows("29%", 100, none) == 29
    assert budget_rows("0.7%", 1000, none) == 7
    assert budget_rows("100%", 999, none) == 999
    assert budget_rows(7, 7, none) == 7
    assert budget_rows(TokenBudget(tokens=10**9), 7, none) == 7  # they may be all rows
