"""Choice within quotas: against the law written out, and what may not change it."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from dataselect.aggregate import _choose
from dataselect.aggregate.round_robin import round_robin
from dataselect.aggregate.top import top
from dataselect.data.quotas import Quotas
from dataselect.data.scores import SingleGroup
from dataselect.errors import InputError
from tests.aggregate import NO
from tests.aggregate.test_walk import Lengths
from tests.helpers import columns, mistake


def plain(lists, limits, lengths=None, weights=None):
    """The law of `_walk`, written out over whole lists: the chosen rows; whether lists ended."""
    lengths = lengths or [1] * len(limits.classes)
    weights = weights or [1] * len(lists)
    kinds = range(len(limits.names))
    lists, turns = [list(rows) for rows in lists], [0] * len(lists)
    chosen, used, closed = [], Counter(), set()

    def lacking(kind):
        return 0 if kind in closed else max(0, limits.at_least[kind] - used[kind])

    while True:
        left = limits.total - sum(used.values())
        spare = left - sum(map(lacking, kinds))
        closed |= {k for k in kinds if used[k] >= limits.at_most[k]}
        closed |= {k for k in kinds if spare <= 0 and not lacking(k)}
        if len(closed) == len(kinds):
            return chosen, False
        lists = [[row for row in rows if limits.classes[row] not in closed] for rows in lists]
        times = [
            (Fraction(turn + 1) / Fraction(weight), group)
            for group, (turn, weight) in enumerate(zip(turns, weights, strict=True))
            if lists[group]
        ]
        if not times:
            return chosen, True
        group = min(times)[1]
        row = lists[group][0]
        if row not in chosen:
            kind, cost = int(limits.classes[row]), lengths[row]
            if cost > left and spare == left - lacking(kind):
                return chosen, False
            if cost > spare + lacking(kind) or used[kind] + cost > limits.at_most[kind]:
                closed.add(kind)
                continue
            chosen.append(row)
            used[kind] += cost
        lists[group].pop(0)
        turns[group] += 1


def ranked_lists(scores):
    """Every group's candidates, best first."""
    rows = np.arange(len(scores))
    return [
        [int(row) for row in np.lexsort((rows, -column)) if column[row] > NO] for column in scores.T
    ]


def in_blocks(scores, size):
    return lambda: [scores[i : i + size] for i in range(0, len(scores), size)]


def drawn(seed, *, ties=True):
    """Random scores, quotas that some rows can meet, and lengths."""
    draw = np.random.default_rng(seed)
    rows, groups = int(draw.integers(8, 90)), int(draw.integers(1, 8))
    scores = draw.normal(size=(rows, groups)) + 2 * draw.normal(size=(rows, 1))
    scores = (np.round(scores) if ties else scores).astype(np.float32)
    scores[draw.random((rows, groups)) < draw.choice([0, 0.5])] = NO
    kinds = int(draw.integers(1, 5))
    classes = draw.integers(0, kinds, rows).astype(np.uint16)
    n = int(draw.integers(1, rows // 2 + 1))
    at_least = [0, *draw.multinomial(n // 2, [1 / kinds] * kinds)[1:].tolist()]
    at_most = [n] + [int(draw.choice([least, least + 1, n])) for least in at_least[1:]]
    weights = draw.choice([0.5, 1, 2, 3], groups).tolist()
    names = [str(kind) for kind in range(kinds)]
    limits = Quotas(n, classes, names, at_least, [min(most, n) for most in at_most])
    return scores, limits, weights, draw.integers(1, 9, rows).tolist()


def in_tokens(limits, lengths, factor=4):
    bounds = ([amount * factor for amount in side] for side in (limits.at_least, limits.at_most))
    return Quotas(limits.total * factor, limits.classes, limits.names, *bounds, Lengths(lengths))


def rows_of(*arguments):
    """What `choose` chooses; None where there are too few candidates."""
    try:
        rows = _choose.choose(*arguments).rows.tolist()
    except InputError:
        return None
    return rows if arguments[2].tokens or len(rows) == arguments[2].total else None


@pytest.mark.parametrize("depth", [None, 1], ids=["usual", "one row at first"])
@pytest.mark.parametrize("unit", ["rows", "tokens"])
def test_choice_is_the_law_written_out(unit, depth, monkeypatch):
    if depth:
        monkeypatch.setattr(_choose, "_first_depth", lambda *_: depth)
    met = 0
    for seed in range(120):
        scores, limits, weights, lengths = drawn(seed)
        lengths = None if unit == "rows" else lengths
        weights = None if seed % 3 else weights
        if lengths:
            limits = in_tokens(limits, lengths)
        expected, ended = plain(ranked_lists(scores), limits, lengths, weights)
        blocks = in_blocks(scores, 1 + seed % 11)
        array = None if weights is None else np.asarray(weights)
        found = rows_of(blocks, scores.shape[1], limits, array)
        if ended or not expected:  # lists may end with less than a row missing of every quota
            assert found is None or (lengths and found == expected), seed
        else:
            assert found == expected, seed
            met += 1
    assert met > 60


@pytest.mark.parametrize("seed", range(6))
def test_what_is_chosen_keeps_to_the_quotas(seed):
    scores, limits, _, _ = drawn(seed + 500)
    rows = rows_of(in_blocks(scores, 7), scores.shape[1], limits)
    if rows is not None:
        counts = np.bincount(limits.classes[rows], minlength=len(limits.names))
        assert (counts >= limits.at_least).all()
        assert (counts <= limits.at_most).all()
        assert len(set(rows)) == limits.total


@pytest.mark.parametrize("aggregator", [top, round_robin])
@pytest.mark.parametrize("seed", range(8))
def test_limits_that_limit_nothing_change_nothing(aggregator, seed):
    scores, limits, _, _ = drawn(seed)
    n, groups = limits.total, columns(scores.shape[1])
    kinds = len(limits.names)
    free = Quotas(n, limits.classes, limits.names, [0] * kinds, [n] * kinds)
    usual = aggregator(in_blocks(scores, 9), groups, n)
    if len(usual.rows) == n:
        unlimited = aggregator(in_blocks(scores, 9), groups, n, free)
        for ours, theirs in zip(unlimited, usual, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    if aggregator is round_robin:
        single = Quotas(n, np.zeros(len(scores), np.uint16), ["all"], [0], [n])
        same = round_robin(in_blocks(scores, 9), groups, n, single, np.full(len(groups), 2.5))
        for ours, theirs in zip(same, usual, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("aggregator", [top, round_robin])
def test_a_permuted_pool_and_other_blocks_change_no_choice(aggregator):
    for seed in range(900, 912):
        scores, limits, _, lengths = drawn(seed, ties=False)
        order = np.random.default_rng(seed).permutation(len(scores))
        moved = Quotas(
            limits.total, limits.classes[order], limits.names, limits.at_least, limits.at_most
        )
        permuted = [lengths[row] for row in order]
        for before, after in (
            (limits, moved),
            (in_tokens(limits, lengths), in_tokens(moved, permuted)),
        ):
            call = aggregator, columns(scores.shape[1]), len(scores)
            first = attempt(*call, in_blocks(scores, 5), before)
            assert attempt(*call, in_blocks(scores, 64), before) == first
            second = attempt(*call, in_blocks(scores[order], 5), after)
            assert second == first if isinstance(first, str) else order[second].tolist() == first


def attempt(aggregator, groups, n, blocks, limits):
    """The chosen rows, or the message that says why there are none."""
    try:
        return aggregator(blocks, groups, n, limits).rows.tolist()
    except InputError as error:
        return str(error)


def test_a_larger_budget_in_tokens_only_appends():
    scores, _, _, lengths = drawn(3)
    classes = np.zeros(len(scores), np.uint16)
    chosen = []
    for total in range(max(lengths), sum(lengths) // 2, 7):
        single = Quotas(total, classes, ["all"], [0], [total], Lengths(lengths))
        rows = round_robin(in_blocks(scores, 8), columns(scores.shape[1]), len(scores), single).rows
        assert rows.tolist()[: len(chosen)] == chosen
        assert sum(lengths[row] for row in rows) <= total
        chosen = rows.tolist()
    assert len(chosen) > 5


@pytest.mark.parametrize("aggregator", [top, round_robin])
def test_a_single_group_per_row_is_a_matrix_with_one_candidate_per_row(aggregator):
    draw = np.random.default_rng(1)
    groups, scores = draw.integers(0, 5, 40), draw.normal(size=40).astype(np.float32)
    dense = np.full((40, 5), NO, dtype=np.float32)
    dense[np.arange(40), groups] = scores
    limits = Quotas(20, np.arange(40) % 3, ["others", "a", "b"], [0, 9, 0], [20, 20, 4])
    single = lambda: [SingleGroup(groups[i : i + 6], scores[i : i + 6]) for i in range(0, 40, 6)]  # noqa: E731
    expected = aggregator(in_blocks(dense, 7), columns(5), 20, limits)
    assert len(expected.rows) == 20
    for ours, theirs in zip(aggregator(single, columns(5), 20, limits), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_too_few_candidates_are_refused_with_the_numbers():
    scores = np.asarray([[4], [3], [2], [NO], [NO], [1]], dtype=np.float32)
    classes = np.asarray([1, 1, 0, 1, 1, 0])
    blocks = in_blocks(scores, 4)
    limits = Quotas(4, classes, ["others", "code"], [0, 3], [4, 4])
    assert mistake(top, blocks, columns(1), 4, limits) == (
        "params.yaml: mix.sources: code: 3 rows wanted, 2 candidates. Lower its number, or "
        "`budget`."
    )
    limits = Quotas(4, classes, ["others", "code"], [0, 0], [4, 1])
    assert mistake(top, blocks, columns(1), 4, limits) == (
        "params.yaml: mix.sources: 4 rows wanted; quotas and candidates allow 3 (others: 2, code: "
        "1). Raise `at_most`, or lower `budget`."
    )
    lengths = Lengths([10] * 6)
    limits = Quotas(40, classes, ["others", "code"], [0, 30], [40, 40], lengths)
    assert "code: 30 tokens wanted, 20 tokens in all its candidates." in mistake(
        top, blocks, columns(1), 6, limits
    )


def test_a_long_row_leaves_another_sources_minimum_to_it():
    """Of 1,000 tokens, b has used 690; its next row has more than what is left for a."""
    lengths = [690, 400, *[10] * 60]
    classes = np.asarray([0, 0, *[1] * 60])
    scores = -np.arange(62, dtype=np.float32)[:, None]
    limits = Quotas(1_000, classes, ["others", "a"], [0, 300], [1_000, 1_000], Lengths(lengths))
    rows = top(in_blocks(scores, 9), columns(1), 62, limits).rows.tolist()
    assert rows[0] == 0
    assert 1 not in rows
    assert sum(lengths[row] for row in rows if classes[row] == 1) == 310


def test_exact_shares_in_tokens_leave_less_than_a_row_of_each():
    draw = np.random.default_rng(5)
    lengths = draw.integers(20, 60, 400).tolist()
    classes = np.arange(400) % 2 + 1
    bounds = [0, 1_000, 3_000], [4_000, 1_000, 3_000]
    limits = Quotas(4_000, classes, ["others", "a", "b"], *bounds, Lengths(lengths))
    scores = draw.normal(size=(400, 1)).astype(np.float32)
    rows = top(in_blocks(scores, 50), columns(1), 400, limits)
    used = [sum(lengths[r] for r in rows.rows if classes[r] == kind) for kind in (1, 2)]
    assert 940 < used[0] <= 1_000
    assert 2_940 < used[1] <= 3_000
