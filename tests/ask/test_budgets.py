"""The smallest budget that takes a row, against the aggregators themselves."""

import numpy as np
import pytest

from dataselect.aggregate.mean_over_tasks import mean_over_tasks
from dataselect.aggregate.nested_fill import nested_fill
from dataselect.aggregate.round_robin import round_robin
from dataselect.aggregate.run import read_scores
from dataselect.aggregate.top import top
from dataselect.ask import budgets, rounds
from dataselect.ask.budgets import Rule, needed_budget, order_of
from dataselect.ask.standing import Chosen, standing
from dataselect.data.scores import Group
from tests.ask import NO, write_scores, write_single

NOTHING = Chosen(np.empty(0, np.int64), np.empty(0, np.int64))
AGGREGATORS = {
    "top": top,
    "round_robin": round_robin,
    "mean_over_tasks": mean_over_tasks,
    "nested_fill": nested_fill,
}


def dense(seed, rows, groups, levels):
    """Scores with ties, and some that are −∞."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (rows, groups)) + rng.integers(0, levels, (rows, 1))
    return np.where(rng.random((rows, groups)) < 0.1, NO, scores).astype(np.float32)


def needed(name, path, groups, row, rows):
    rule = Rule(name, settings={})
    keep = row % 2 == 0  # of every other row in memory, with the same result
    found = standing(path, row, len(groups), NOTHING, order_of(rule, groups), keep=keep)
    if not (found.scores > NO).any() or found.order == NO:
        return None
    return needed_budget(rule, groups, path, row, found, rows).rows


def every_smallest(name, path, groups, rows):
    """Row → the smallest budget that takes it, of all that there are; larger ones take it too."""
    blocks = list(read_scores(path))
    first = {}
    for n in range(1, rows + 1):
        taken = set(AGGREGATORS[name](lambda: blocks, groups, n).rows.tolist())
        assert taken >= set(first)
        first |= {row: n for row in taken if row not in first}
    return first


@pytest.mark.parametrize("name", AGGREGATORS)
@pytest.mark.parametrize("seed", range(6))
def test_it_is_that_of_the_aggregator_itself(tmp_path, name, seed):
    rows, width = 70, (1, 3, 5)[seed % 3]
    path = write_scores(tmp_path, dense(seed, rows, width, (3, 50)[seed % 2]), 32)
    groups = [Group(str(g), f"task {g % 2}", f"source {g % 3}") for g in range(width)]
    expected = every_smallest(name, path, groups, rows)
    for row in range(0, rows, 5):
        assert needed(name, path, groups, row, rows) == expected.get(row), row


@pytest.mark.parametrize("name", ["top", "round_robin", "nested_fill"])
def test_it_is_that_of_the_aggregator_where_a_row_is_in_one_group(tmp_path, name):
    rng = np.random.default_rng(3)
    scores = dense(3, 60, 1, 6)[:, 0]
    path = write_single(tmp_path, rng.integers(0, 7, 60), scores, 16)
    groups = [Group(str(g), None, f"source {g % 2}") for g in range(7)]
    expected = every_smallest(name, path, groups, 60)
    for row in range(0, 60, 4):
        assert needed(name, path, groups, row, 60) == expected.get(row), row


@pytest.mark.parametrize("levels", [4, 10_000])
def test_a_pool_that_is_larger_than_the_sample(tmp_path, levels):
    """Thresholds are estimated from a sample; sorted scores make that as wrong as it can be."""
    scores = dense(1, 9_000, 4, levels)
    for matrix in (scores, np.sort(scores, axis=0)):
        path = write_scores(tmp_path, matrix, 2_048)
        groups = [Group(str(g), None) for g in range(4)]
        every = round_robin(lambda path=path: read_scores(path), groups, 9_000).rows.tolist()
        for place in (0, 10, 500, 4_000, len(every) - 1):
            assert needed("round_robin", path, groups, every[place], 9_000) == place + 1


def test_thresholds_that_miss_are_widened(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "SAMPLED", 1_000)  # depths seem smaller than they are
    path = write_scores(tmp_path, dense(2, 3_000, 3, 1_000), 512)
    groups = [Group(str(g), None) for g in range(3)]
    every = round_robin(lambda: read_scores(path), groups, 3_000).rows.tolist()
    for place in (3, 900, 2_500):
        assert needed("round_robin", path, groups, every[place], 3_000) == place + 1


def test_what_is_not_known_says_why(tmp_path, monkeypatch):
    path = write_scores(tmp_path, dense(0, 20, 2, 9), 8)
    groups = [Group("a", None), Group("b", None)]
    found = standing(path, 0, 2, NOTHING, None)

    def unknown(rule):
        return needed_budget(rule, groups, path, 0, found, 20)

    assert unknown(Rule(None)).unknown.startswith("no plan.json")
    assert unknown(Rule("round_robin", limited=True)).unknown.startswith("quotas, weights")
    assert unknown(Rule("my_own")).unknown.startswith("it is not known how `my_own`")
    monkeypatch.setattr(budgets, "REPEATED_NUMBERS", 39)
    assert "choose again from all rows" in unknown(Rule("nested_fill")).unknown
