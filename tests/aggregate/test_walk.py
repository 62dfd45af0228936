"""The walk through ranked rows, worked by hand."""

import numpy as np

from dataselect.aggregate._walk import RankedRows, Walk
from dataselect.data.quotas import Quotas
from tests.helpers import mistake


class Lengths:
    """The tokens of rows, known in advance; notes which are counted together."""

    def __init__(self, tokens):
        self.tokens, self.known, self.passes = tokens, {}, []

    def count(self, rows):
        self.passes.append(rows)
        self.known |= {row: self.tokens[row] for row in rows}


def quotas(total, classes, at_least, at_most, tokens=None):
    names = ["others", *"abcdef"[: len(at_least) - 1]]
    return Quotas(total, np.asarray(classes), names, at_least, at_most, tokens)


def walked(lists, limits, weights=None, ends=None):
    """A finished walk through lists of rows; ranks have falling scores."""
    ranked = [
        RankedRows(
            rows,
            [int(limits.classes[row]) for row in rows],
            -np.arange(len(rows), dtype=np.float32),
            (ends or {}).get(group, {}),
        )
        for group, rows in enumerate(lists)
    ]
    walk = Walk(ranked, limits, weights or [1.0] * len(lists))
    return walk, walk.run()


def chosen(lists, limits, **options):
    walk, short = walked(lists, limits, **options)
    assert short == []
    return walk.picks().rows.tolist()


def test_a_full_class_is_passed_over_and_a_minimum_gets_the_last_places():
    # Rows 0-3 are of others, 4 and 5 of a.
    classes = [0, 0, 0, 0, 1, 1]
    order = [[0, 1, 2, 3, 4, 5]]
    assert chosen(order, quotas(4, classes, [0, 0], [4, 4])) == [0, 1, 2, 3]
    assert chosen(order, quotas(4, classes, [0, 2], [4, 4])) == [0, 1, 4, 5]
    assert chosen(order[::-1], quotas(4, classes, [0, 1], [4, 1])) == [0, 1, 2, 4]
    assert chosen([[5, 4, 0, 1]], quotas(3, classes, [0, 0], [3, 1])) == [5, 0, 1]
    assert chosen([[5, 4, 0, 1]], quotas(2, classes, [0, 0], [2, 0])) == [0, 1]


def test_a_passed_row_uses_up_no_turn_and_a_chosen_row_does():
    # Class a is full with row 4. Group 1 passes over 5 and gets 0; so group 0 loses a turn with 0.
    limits = quotas(4, [0, 0, 0, 0, 1, 1], [0, 0], [4, 1])
    walk, _ = walked([[4, 0, 1], [5, 0, 2, 3]], limits)
    picks = walk.picks()
    assert picks.rows.tolist() == [4, 0, 2, 1]
    assert picks.groups.tolist() == [0, 1, 1, 0]
    assert picks.used_up.tolist() == [1, 0]
    assert picks.scores.tolist() == [0, -1, -2, -2]


def test_a_group_of_weight_two_has_two_turns_for_each_of_the_others():
    limits = quotas(6, [0] * 12, [0], [6])
    lists = [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    # Times 1/2, 2/2, 3/2, 4/2 and 1, 2: of equal times the first group's comes first.
    assert chosen(lists, limits, weights=[2.0, 1.0]) == [0, 1, 6, 2, 3, 7]
    assert chosen(lists, limits, weights=[1.0, 2.0]) == [6, 0, 7, 8, 1, 9]
    assert chosen(lists, limits, weights=[3.0, 3.0]) == [0, 6, 1, 7, 2, 8]


def test_too_few_ranked_rows_are_noticed_unless_their_class_is_closed():
    # Of class 1 only row 4 was ranked in group 0: behind it another may come.
    classes, order = [0, 0, 0, 0, 1, 1], [[0, 4, 1, 2]]
    assert walked(order, quotas(2, classes, [0, 0], [2, 2]), ends={0: {1: 2}})[1] == []
    assert walked(order, quotas(3, classes, [0, 0], [3, 3]), ends={0: {1: 2}})[1] == [1]
    assert walked(order, quotas(3, classes, [0, 0], [3, 1]), ends={0: {1: 2}})[1] == []


def test_a_budget_in_tokens_ends_before_the_row_that_would_pass_it():
    tokens = [30, 40, 50, 1]
    for total, rows in ((30, [0]), (69, [0]), (70, [0, 1]), (119, [0, 1]), (120, [0, 1, 2])):
        lengths = Lengths(tokens)
        assert chosen([[0, 1, 2, 3]], quotas(total, [0] * 4, [0], [total], lengths)) == rows
    assert mistake(walked, [[0, 1]], quotas(29, [0] * 4, [0], [29], Lengths(tokens))) == (
        "budget: 29 tokens; the row that comes first has 30. Raise it."
    )
    assert mistake(walked, [[0, 1]], quotas(71, [0] * 4, [0], [71], Lengths(tokens))) == (
        "budget: 71 tokens requested, but the 2 candidates have 70. Lower `budget` to at most 70."
    )


def test_quotas_in_tokens_are_met_to_within_a_row():
    # Exactly 40 of a, 60 of others. Others: 25 + 25, the third does not fit. a: 30, then 15 no.
    tokens = Lengths([25, 25, 25, 5, 30, 15])
    limits = quotas(100, [0, 0, 0, 0, 1, 1], [0, 40], [100, 40], tokens)
    assert chosen([[0, 1, 2, 3, 4, 5]], limits) == [0, 1, 4]
    # At most 40 of a: its second row closes it, and others go on to the end.
    limits = quotas(100, [0, 0, 0, 0, 1, 1], [0, 0], [100, 40], Lengths([25, 25, 15, 50, 30, 15]))
    assert chosen([[4, 5, 0, 1, 2, 3]], limits) == [4, 0, 1, 2]


def test_tokens_are_counted_at_the_head_of_the_lists_only(monkeypatch):
    monkeypatch.setattr("dataselect.aggregate._walk.COUNTED_ROWS", (4, 8))
    lengths = Lengths([10] * 100)
    lists = [list(range(50)), list(range(50, 100))]
    rows = chosen(lists, quotas(100, [0] * 100, [0], [100], lengths))
    assert rows == [0, 50, 1, 51, 2, 52, 3, 53, 4, 54]
    # Two of each list; then 1.1 times what is left, 8 rows at most: four of each.
    assert lengths.passes == [[0, 1, 50, 51], [2, 3, 4, 5, 52, 53, 54, 55]]
