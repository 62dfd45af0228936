"""Rankings, round-robin, balanced random, cosines: worked by hand, and the plain algorithm."""

from collections import Counter

import numpy as np
import polars as pl
import pytest

from dataselect.aggregate.round_robin import round_robin
from dataselect.aggregate.run import histogram, select, source_shares
from dataselect.aggregate.top import top
from dataselect.data import tables
from dataselect.data.budget import budget_rows
from dataselect.data.scores import Pool, Queries, Rows, SingleGroup
from dataselect.data.topk import top_k
from dataselect.errors import InputError
from dataselect.score.cosine import cosine
from dataselect.score.random import random
from tests.helpers import columns

NO = -np.inf


def matrix(rows):
    return np.asarray(rows, dtype=np.float32)


def pick(aggregator, scores, n, block=2):
    parts = [scores[i : i + block] for i in range(0, len(scores), block)]
    return aggregator(lambda: parts, columns(scores.shape[1]), n)


def test_round_robin_by_hand():
    # group 0 ranks 0 1 2 3, group 1 ranks 0 2 3 1: round 1 offers 0, 0 (taken: the turn is used
    # up); round 2 offers 1, 2; round 3 offers 2 (taken), 3
    scores = matrix([[0.9, 0.9], [0.8, 0.1], [0.7, 0.8], [0.6, 0.7]])
    picks = pick(round_robin, scores, 4)
    assert picks.rows.tolist() == [0, 1, 2, 3]
    assert picks.groups.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(picks.scores, [0.9, 0.8, 0.8, 0.7])


def test_a_group_that_runs_out_leaves_its_turns_to_the_others():
    scores = matrix([[1, NO], [NO, 5], [NO, 4], [NO, 3]])
    picks = pick(round_robin, scores, 4)
    assert picks.rows.tolist() == [0, 1, 2, 3]
    assert picks.groups.tolist() == [0, 1, 1, 1]


def test_ties_go_to_the_lower_row_whatever_the_blocks():
    scores = np.zeros((9, 1), dtype=np.float32)
    for block in (1, 2, 4, 9):
        assert pick(round_robin, scores, 3, block).rows.tolist() == [0, 1, 2]
        assert pick(top, scores, 3, block).rows.tolist() == [0, 1, 2]


def test_fewer_come_back_where_there_are_no_more_candidates():
    scores = matrix([[NO, NO], [1, NO], [NO, NO]])
    assert pick(round_robin, scores, 3).rows.tolist() == [1]
    assert pick(top, scores, 3).rows.tolist() == [1]


def test_top_is_the_best_over_all_groups():
    scores = matrix([[1, 9], [8, 2], [3, 3], [NO, 7]])
    picks = pick(top, scores, 3)
    assert picks.rows.tolist() == [0, 1, 3]
    assert picks.groups.tolist() == [1, 0, 1]


def plain(scores, n):
    """The published rule, written out: offer, skip what is taken, go on round by round."""
    orders = [np.lexsort((np.arange(len(scores)), -column)) for column in scores.T]
    chosen = []
    for turn in range(len(scores)):
        for order, column in zip(orders, scores.T, strict=True):
            row = order[turn]
            if column[row] > NO and row not in chosen and len(chosen) < n:
                chosen.append(int(row))
    return chosen


@pytest.mark.parametrize("seed", range(12))
def test_round_robin_equals_the_plain_algorithm(seed):
    draw = np.random.default_rng(seed)
    rows, groups = int(draw.integers(5, 120)), int(draw.integers(1, 9))
    scores = draw.integers(0, 12, (rows, groups)).astype(np.float32)  # many ties
    scores[draw.random((rows, groups)) < 0.3] = NO
    for n in (1, rows // 3 + 1, rows):
        assert pick(round_robin, scores, n, 7).rows.tolist() == plain(scores, n)


@pytest.mark.parametrize("values", [3, 40, 10_000])
@pytest.mark.parametrize("block", [13, 2_000])
@pytest.mark.parametrize("k", [1, 3, 50, 4_000])
def test_best_is_the_head_of_the_sorted_column(k, block, values):
    scores = np.random.default_rng(k).integers(0, values, (3_000, 4)).astype(np.float32)
    ranked = top_k([scores[i : i + block] for i in range(0, 3_000, block)], 4, k)
    for group in range(4):
        order = np.lexsort((np.arange(3_000), -scores[:, group]))[:k]
        assert ranked[group].rows.tolist() == order.tolist()
        assert ranked[group].scores.tolist() == scores[order, group].tolist()


@pytest.mark.parametrize("aggregator", [round_robin, top])
@pytest.mark.parametrize("block", [1, 3, 40])
def test_parts_are_a_matrix_with_one_candidate_a_row(aggregator, block):
    draws = np.random.default_rng(block)
    of, scores = draws.integers(0, 5, 40), draws.normal(size=40).astype(np.float32)
    dense = np.full((40, 5), NO, dtype=np.float32)
    dense[np.arange(40), of] = scores
    starts = range(0, 40, block)
    parts = [SingleGroup(of[i : i + block], scores[i : i + block]) for i in starts]
    whole = pick(aggregator, dense, 23)
    picks = aggregator(lambda: parts, columns(5), 23)
    for ours, expected in zip(picks, whole, strict=True):
        np.testing.assert_array_equal(ours, expected)


def sourced(counts):
    names = [(f"{source}/{i}", source) for source, n in counts.items() for i in range(n)]
    rows = Rows([name for name, _ in names], [source for _, source in names])
    return names, Pool(len(names), sorted(counts), [rows])


def test_balanced_random_gives_equal_shares_and_spreads_what_small_sources_lack():
    names, pool = sourced({"a": 2, "b": 50, "c": 100})
    scores = random(pool, seed=0, per="source")
    parts = list(scores.blocks)
    picks = round_robin(lambda: parts, scores.groups, 32)
    assert Counter(names[row][1] for row in picks.rows) == {"a": 2, "b": 15, "c": 15}


def test_random_is_uniform_over_the_pool():
    names, pool = sourced({"a": 1000, "b": 9000})
    scores = np.concatenate(list(random(pool, seed=5).blocks))
    assert scores.shape == (10_000, 1)
    assert scores.min() >= -1
    assert scores.max() < 0
    assert abs(-scores.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 10_000)
    share = Counter(names[row][1] for row in pick(top, scores, 2000, 512).rows)["a"] / 2000
    assert abs(share - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 2000)


def test_cosine_takes_the_maximum_over_a_tasks_queries():
    rows = Rows(["x", "y"], ["s", "s"], {"vectors": matrix([[1, 0], [3, 4]])})
    queries = Queries(
        ["t", "t", "u"], ["1", "2", "3"], {"vectors": matrix([[1, 0], [0, 2], [-1, 0]])}
    )
    by_task = cosine(Pool(2, ["s"], [rows]), queries, groups="auto")
    assert [group.name for group in by_task.groups] == ["t", "u"]
    np.testing.assert_allclose(next(by_task.blocks), [[1, -1], [0.8, -0.6]], atol=1e-6)
    by_query = cosine(Pool(2, ["s"], [rows]), queries, groups="queries")
    assert [group.name for group in by_query.groups] == ["1", "2", "3"]
    np.testing.assert_allclose(next(by_query.blocks), [[1, 0, -1], [0.6, 0.8, -0.6]], atol=1e-6)


def test_a_single_task_is_grouped_by_its_queries():
    queries = Queries(["t", "t"], ["1", "2"], {"vectors": matrix([[1, 0], [0, 1]])})
    pool = Pool(1, ["s"], [Rows(["x"], ["s"], {"vectors": matrix([[1, 0]])})])
    assert [group.name for group in cosine(pool, queries, groups="auto").groups] == ["1", "2"]
    assert [group.name for group in cosine(pool, queries, groups="tasks").groups] == ["t"]


def test_rows_of_which_nothing_was_looked_at_are_no_candidates():
    vectors = matrix([[0, 0], [np.nan, 1], [1, 1]])
    pool = Pool(3, ["s"], [Rows(["x", "y", "z"], ["s"] * 3, {"vectors": vectors})])
    queries = Queries(["t", "u"], ["1", "2"], {"vectors": matrix([[1, 0], [0, -1]])})
    block = next(cosine(pool, queries, groups="auto").blocks)
    assert np.isneginf(block).tolist() == [[True, True], [True, True], [False, False]]


def test_a_query_of_which_nothing_was_looked_at_is_named():
    queries = Queries(["t", "t"], ["1", "2"], {"vectors": matrix([[1, 0], [0, 0]])})
    with pytest.raises(InputError, match=r"1 queries have none of the tokens .*: 2\. Give them"):
        cosine(Pool(0, [], []), queries, groups="auto")


def test_a_share_is_rounded_down_to_at_least_one_row():
    none = tables.empty("dropped")
    assert budget_rows("5%", 999, none) == 49
    assert budget_rows("0.01%", 999, none) == 1
    assert budget_rows("29%", 100, none) == 29
    assert budget_rows("0.7%", 1000, none) == 7
    assert budget_rows("100%", 999, none) == 999
    assert budget_rows(7, 7, none) == 7


@pytest.fixture
def scored(tmp_path):
    """Four pool rows of two sources, scored for one group; the last is no candidate."""
    turns = [
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": a}] for a in "wxyz"
    ]
    pool = pl.DataFrame(
        [(i, f"id{i}", "ab"[i % 2], turns[i]) for i in range(4)],
        schema=tables.SCHEMAS["pool"],
        orient="row",
    )
    tables.write("pool", pool, tmp_path / "pool.parquet")
    tables.write("dropped", tables.empty("dropped"), tmp_path / "dropped.parquet")
    groups = pl.DataFrame([(0, "t", "t", None)], schema=tables.SCHEMAS["groups"], orient="row")
    tables.write("groups", groups, tmp_path / "groups.parquet")
    values = pl.Series(
        "score", matrix([[0.25], [0.75], [0.5], [NO]]), dtype=pl.Array(pl.Float32, 1)
    )
    of = pl.lit(None, dtype=pl.Int64).alias("group")
    scores = pool.select("row", "id", of).with_columns(values)
    tables.write("scores", scores, tmp_path / "scores.parquet")
    return tmp_path


def section(budget):
    return {"aggregator": {"name": "round_robin", "settings": {}}, "budget": budget}


def test_a_selection_and_its_training_file(scored):
    selection = select(section(2), scored)
    assert selection.rows() == [
        (0, 1, "id1", "b", 0, "t", 0.75),
        (1, 2, "id2", "a", 0, "t", 0.5),
    ]
    lines = (scored / "train.jsonl").read_text().splitlines()
    assert lines[0] == (
        '{"id": "id1", "source": "b", "messages": [{"role": "user", "content": "q"}, '
        '{"role": "assistant", "content": "x"}]}'
    )
    assert len(lines) == 2
    assert source_shares(selection, scored / "pool.parquet").rows() == [
        ("a", 2, 1, 0.5, 0.5),
        ("b", 2, 1, 0.5, 0.5),
    ]


def test_a_budget_above_the_candidates_is_refused_and_leaves_nothing(scored):
    with pytest.raises(InputError, match="4 rows asked, but only 3 of the 4 in the pool"):
        select(section(4), scored)
    assert not (scored / "selection.parquet").exists()
    assert not (scored / "train.jsonl").exists()


def test_histogram_counts_every_row_once(scored):
    bars = histogram(select(section(3), scored), bins=2)
    assert bars == [
        {"low": 0.25, "high": 0.5, "rows": 1, "task": "t"},
        {"low": 0.5, "high": 0.75, "rows": 2, "task": "t"},
    ]
