"""Which budget would have taken a row: exactly, where the method's rule tells."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dataselect.ask.rounds import chosen_by_turn, first_turn
from dataselect.ask.standing import Order, Standing
from dataselect.data.scores import Block, Group, SingleGroup

if TYPE_CHECKING:
    from dataselect.aggregate import Aggregator

#: Aggregators whose choice is computed again, for budgets that are halved, only from a matrix of at
#: most so many numbers: some twenty choices of a fraction of a second.
REPEATED_NUMBERS = 2_000_000


class Rule(NamedTuple):
    """How a run chose its rows.

    Attributes:
        aggregator: its name; None where no plan tells.
        budget: as the plan has it; None where no plan tells.
        limited: quotas, weights or a budget in tokens divide the choice.
        settings: of the aggregator.
    """

    aggregator: str | None
    budget: Any = None
    limited: bool = False
    settings: dict[str, Any] | None = None


class Needed(NamedTuple):
    """The smallest budget, in rows, that takes a row; or why it is not known."""

    rows: int | None
    unknown: str = ""


def order_of(rule: Rule, groups: list[Group]) -> Order | None:
    """What the rule ranks all rows by, whatever their group; None where there is no such order."""
    if rule.aggregator == "top":
        return _best_scores
    if rule.aggregator == "mean_over_tasks":
        from dataselect.aggregate.mean_over_tasks import _means

        return lambda block: _column(partial(_means, groups=groups), block)
    return None


def _best_scores(block: Block) -> np.ndarray:
    """What `aggregate.top` ranks by; along whole columns it is found ten times as fast."""
    if isinstance(block, SingleGroup):
        return block.score
    return np.ascontiguousarray(block.T).max(axis=0)


def _column(rank_by: Callable[..., Any], block: Block) -> np.ndarray:
    return next(iter(rank_by(lambda: [block])))[:, 0]


def needed_budget(
    rule: Rule, groups: list[Group], path: Path, row: int, standing: Standing, rows: int
) -> Needed:
    """The smallest budget that takes a candidate.

    `top`, `mean_over_tasks` and `round_robin` choose the rows of a smaller budget first, and are
    followed to the row's turn. `nested_fill` takes no fewer rows of a cluster for a larger budget:
    it is asked again with budgets that are halved.

    Args:
        path: the scores table.
        row: the row's number.
        standing: its own.
        rows: the number of rows of the table.
    """
    if rule.aggregator is None:
        return Needed(None, "no plan.json is beside the outputs that says how rows were chosen")
    if rule.limited:
        return Needed(None, "quotas, weights or a budget in tokens divide the choice")
    if standing.order is not None:
        return Needed(standing.order_before + 1)
    if rule.aggregator == "round_robin":
        return Needed(chosen_by_turn(path, standing, first_turn(standing)[0]))
    if rule.aggregator != "nested_fill":
        return Needed(None, f"it is not known how `{rule.aggregator}` goes on with larger budgets")
    width = 1 if standing.sizes is not None else len(groups)
    if rows * width > REPEATED_NUMBERS:
        return Needed(None, f"`{rule.aggregator}` would have to choose again from all rows, often")
    return Needed(_smallest(rule, groups, path, row, rows))


def _smallest(rule: Rule, groups: list[Group], path: Path, row: int, rows: int) -> int:
    """The smallest budget with which the aggregator takes a row; a larger one must take it too."""
    from dataselect.aggregate.run import read_scores
    from dataselect.settings import part_function

    aggregator: Aggregator = part_function("aggregate", str(rule.aggregator), "plan.json")
    blocks = list(read_scores(path))
    low, high = 1, rows
    while low < high:
        middle = (low + high) // 2
        picks = aggregator(lambda: blocks, groups, middle, **(rule.settings or {}))
        if np.any(picks.rows == row):
            high = middle
        else:
            low = middle + 1
    return low
