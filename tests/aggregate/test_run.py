"""The aggregate stage: the selection, the training file, shares and the histogram."""

import json

import numpy as np
import polars as pl
import pytest

from dataselect.aggregate._summary import (
    count_by_task,
    histogram,
    source_shares,
    write_plots,
)
from dataselect.aggregate.run import (
    AggregateSection,
    read_scores,
    select,
)
from dataselect.data import tables
from dataselect.data.budget import TokenBudget
from dataselect.data.mix import MixSettings
from dataselect.data.scores import SingleGroup
from dataselect.errors import InputError
from dataselect.models import token_counts
from dataselect.settings import Part
from tests.aggregate import NO, matrix
from tests.aggregate.test_walk import Lengths
from tests.helpers import MODEL


@pytest.fixture
def scored(tmp_path):
    """Four pool rows of two sources, scored for one group; the last is no candidate."""
    turns = [
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": a}] for a in "wxyz"
    ]
    pool = pl.DataFrame(
        [(i, f"id{i}", "ab"[i % 2], turns[i]) for i in range(4)],
        schema=tables.schema("pool"),
        orient="row",
    )
    tables.write("pool", pool, tmp_path / "pool.parquet")
    tables.write("dropped", tables.empty("dropped"), tmp_path / "dropped.parquet")
    groups = pl.DataFrame([(0, "t", "t", None)], schema=tables.schema("groups"), orient="row")
    tables.write("groups", groups, tmp_path / "groups.parquet")
    write_scores(tmp_path, matrix([[0.25], [0.75], [0.5], [NO]]))
    return tmp_path


def write_scores(out, scores, groups=None):
    columns = {
        "row": range(len(scores)),
        "id": [f"id{row}" for row in range(len(scores))],
        "group": pl.Series(groups or [None] * len(scores), dtype=pl.Int64),
        "score": pl.Series(scores, dtype=pl.Array(pl.Float32, scores.shape[1])),
    }
    tables.write("scores", pl.DataFrame(columns), out / "scores.parquet")


def section(budget):
    return AggregateSection(Part("round_robin", {}), budget, code="")


def test_a_selection_and_its_training_file(scored):
    selection = select(section(2), scored).table
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


def two_tasks(out, scores, groups=(("t", "t"), ("u", "u"))):
    """The same rows, scored for the groups of two tasks; what the whole pool's selection counts."""
    table = [(number, name, task, None) for number, (name, task) in enumerate(groups)]
    frame = pl.DataFrame(table, schema=tables.schema("groups"), orient="row")
    tables.write("groups", frame, out / "groups.parquet")
    write_scores(out, matrix(scores))
    return count_by_task(select(section(4), out))


def test_unequal_tasks_say_that_chosen_rows_used_up_their_turns(scored):
    # Both tasks rank the rows alike: the first takes its turn, the second's is used up.
    rows, note = two_tasks(scored, [[4, 4], [3, 3], [2, 2], [1, 1]])
    assert rows == [("t", 4, 0), ("u", 0, 3)]
    assert note.startswith("The tasks get unequal numbers of rows: 3 turns fell on rows that were")


def test_equal_tasks_and_tasks_with_unequal_turns_say_nothing(scored):
    # Round 1 offers row 0 twice; round 3 offers row 2 again: a turn of each is used up.
    crossed = [[0.9, 0.9], [0.8, 0.1], [0.7, 0.8], [0.6, 0.7]]
    assert two_tasks(scored, crossed) == ([("t", 2), ("u", 2)], None)
    # Task t has two groups, and so two turns in a round; none is used up.
    apart = [[9, 1, 2], [1, 9, 1], [2, 1, 9], [8, 2, 1]]
    groups = (("q1", "t"), ("q2", "t"), ("q3", "u"))
    assert two_tasks(scored, apart, groups) == ([("t", 3), ("u", 1)], None)


def test_a_budget_above_the_candidates_is_refused_and_leaves_nothing(scored):
    with pytest.raises(InputError, match="4 rows requested, but only 3 of the 4 in the pool are"):
        select(section(4), scored)
    assert not (scored / "selection.parquet").exists()
    assert not (scored / "train.jsonl").exists()


def test_a_method_without_any_candidate_says_what_to_do(scored):
    write_scores(scored, matrix([[NO]] * 4))
    with pytest.raises(
        InputError, match=r"none of the 4 rows .* is a candidate .*`dtype: float32`"
    ):
        select(section(1), scored)


def test_scores_are_read_as_they_were_written(tmp_path):
    scores = np.arange(5_000, dtype=np.float32).reshape(-1, 2)
    write_scores(tmp_path, scores)
    np.testing.assert_array_equal(
        np.concatenate(list(read_scores(tmp_path / "scores.parquet"))), scores
    )
    write_scores(tmp_path, scores[:, :1], [row % 7 for row in range(2_500)])
    blocks = list(read_scores(tmp_path / "scores.parquet"))
    assert all(isinstance(block, SingleGroup) for block in blocks)
    groups, single = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    np.testing.assert_array_equal(groups, np.arange(2_500) % 7)
    np.testing.assert_array_equal(single, scores[:, 0])


def test_plots_are_shares_of_sources_and_a_histogram(scored):
    selection = select(section(1), scored).table
    write_plots(selection, scored / "pool.parquet", scored / "plots")
    assert json.loads((scored / "plots/sources.json").read_text()) == [
        {"source": "b", "share": 0.5, "of": "pool"},
        {"source": "b", "share": 1.0, "of": "selected"},
        {"source": "a", "share": 0.5, "of": "pool"},
        {"source": "a", "share": 0.0, "of": "selected"},
    ]
    bars = json.loads((scored / "plots/scores.json").read_text())
    assert bars == histogram(selection)
    assert sum(bar["rows"] for bar in bars) == 1


def mixed(scored, budget=3, tokenizer=None, **mix):
    """The selection of the same rows by round-robin, with a block `mix`."""
    part = Part("round_robin", {})
    return select(AggregateSection(part, budget, "", MixSettings(**mix), tokenizer), scored)


def test_quotas_and_epochs_are_followed(scored):
    selected = mixed(scored, 2, sources={"a": 2})
    assert selected.table["id"].to_list() == ["id2", "id0"]
    assert selected.figures == {"rows": 2}
    plain = select(section(3), scored).table
    selected = mixed(scored, epochs={"a": 2})
    assert selected.table.equals(plain)
    assert selected.figures == {"rows": 3, "lines": 5}
    lines = (scored / "train.jsonl").read_text().splitlines()
    ids = [json.loads(line)["id"] for line in lines]
    assert ids == ["id1", "id2", "id0", "id2", "id0"]
    assert lines[1] == lines[3]


def test_quotas_that_the_candidates_cannot_meet_leave_nothing(scored):
    with pytest.raises(InputError, match=r"sources: b: 2 rows wanted, 1 candidates\. Lower"):
        mixed(scored, 2, sources={"b": 2})
    with pytest.raises(InputError, match=r"mix\.epochs: `aa` is no source of the pool"):
        mixed(scored, 2, epochs={"aa": 2})
    assert not (scored / "selection.parquet").exists()


def test_weights_give_a_task_more_turns(scored):
    groups = pl.DataFrame(
        [(0, "t", "t", None), (1, "u", "u", None)], schema=tables.schema("groups"), orient="row"
    )
    tables.write("groups", groups, scored / "groups.parquet")
    write_scores(scored, matrix([[4, 1], [3, 2], [2, 3], [1, 4]]))
    assert mixed(scored, tasks={"t": 2}).table["task"].to_list() == ["t", "t", "u"]
    assert mixed(scored, tasks={"u": 2}).table["task"].to_list() == ["u", "t", "u"]


def test_a_budget_in_tokens_counts_the_chosen_rows(scored, monkeypatch):
    monkeypatch.setattr(token_counts, "TokenCounts", lambda pool, model: Lengths([10, 20, 30, 40]))
    for tokens, ids in ((59, ["id1", "id2"]), (49, ["id1"])):
        selected = mixed(scored, TokenBudget(tokens=tokens), MODEL.tokenizer())
        assert selected.table["id"].to_list() == ids
        assert selected.figures == {"rows": len(ids), "tokens": [20, 50][len(ids) - 1]}
    with pytest.raises(InputError, match=r"3 candidates have 60\. Lower `budget` to at most 60"):
        mixed(scored, TokenBudget(tokens=1_000), MODEL.tokenizer())


def test_histogram_counts_every_row_once(scored):
    bars = histogram(select(section(3), scored).table, bins=2)
    assert bars == [
        {"low": 0.25, "high": 0.5, "rows": 1, "task": "t"},
        {"low": 0.5, "high": 0.75, "rows": 2, "task": "t"},
    ]
