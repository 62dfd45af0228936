"""A column of the pool as the score, worked by hand, and columns that are none."""

import json

import numpy as np
import polars as pl
import pytest

from dataselect.aggregate.run import select
from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.data.scores import Group, Pool, PoolInfo, Rows
from dataselect.dedup.run import dedup
from dataselect.score.column import column
from dataselect.score.run import ScoreSection, score
from dataselect.settings import Part
from tests.data.test_numbers import write_pool
from tests.helpers import change, mistake, planned

INF = float("inf")
NAN = float("nan")


@pytest.mark.parametrize(
    ("best", "expected"),
    [("highest", [3, -1.5, -INF, -INF, -INF]), ("lowest", [-3, 1.5, -INF, -INF, -INF])],
)
def test_by_hand(best, expected):
    rows = Rows(list("abcde"), ["s"] * 5, columns={"x": np.array([3, -1.5, NAN, INF, -INF])})
    groups, blocks = column(name="x", best=best).score(Pool(PoolInfo(5, ["s"]), [rows]))
    (scores,) = blocks
    assert groups == [Group("pool", None)]
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, np.array(expected)[:, None])


@pytest.mark.parametrize(
    ("values", "expected"),
    [([16_777_217, 16_777_216, NAN, 1], [2, 1, -INF, 0]), ([1e39, 1e38], [1, 0])],
)
def test_numbers_that_32_bits_cannot_tell_apart_become_ranks(values, expected):
    rows = Rows(list("abcd")[: len(values)], ["s"] * len(values), columns={"x": np.array(values)})
    _, blocks = column(name="x").score(Pool(PoolInfo(len(values), ["s"]), [rows]))
    assert np.concatenate(list(blocks))[:, 0].tolist() == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [([2, None, 1], [2, -INF, 1]), ([2.5, NAN, INF], [2.5, -INF, -INF]), ([True, False], [1, 0]),
     (pl.Series([None, None], dtype=pl.String), [-INF, -INF])],
)  # fmt: skip
def test_the_stage_reads_the_column_from_the_pool(in_scratch, values, expected):
    write_pool(in_scratch / "out/pool.parquet", x=values)
    section = ScoreSection(Part("column", {"name": "x", "best": "highest"}), code="")
    done = score(section, in_scratch / "out", in_scratch / "out/features")
    table = tables.read("scores", in_scratch / "out/scores.parquet")
    assert table["score"].to_list() == [[value] for value in expected]
    assert done.unusable == []


def test_the_plan_keeps_the_scorers_column(home):
    judged = {"features": "none", "aggregator": "top"}
    column = {"column": {"name": "judge_score", "best": "lowest"}}
    change({"judged": judged | {"scorer": column}}, "methods.yaml")
    change({"method": "judged"})
    assert planned().dedup.rules.keep == ["judge_score"]
    change({"pool": {"path": "pool.jsonl", "keep": ["license", "judge_score"]}})
    assert planned().dedup.rules.keep == ["license", "judge_score"]
    change({"method": "random"})
    assert planned().dedup.rules.keep == ["license", "judge_score"]
    change({"bad": judged | {"scorer": {"column": {"name": "score"}}}}, "methods.yaml")
    change({"method": "bad"})
    assert mistake(planned).startswith(
        "methods.yaml: the scorer's column `score`: `score` is a column that"
    )


def test_a_pool_is_chosen_from_by_its_own_column(home):
    scores = [3, None, 9.5, 1, 7, 3, 8, float("nan"), 2, 0]
    rows = [json.loads(line) for line in (home / "pool.jsonl").read_text().splitlines()]
    rows = [
        {**row, "judge_score": x, "ok": i != 4}
        for i, (row, x) in enumerate(zip(rows, scores, strict=True))
    ]
    (home / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    method = {"features": "none", "scorer": {"column": {"name": "judge_score"}}}
    change({"judged": method | {"aggregator": "top"}}, "methods.yaml")
    change({"method": "judged", "budget": 4, "pool": {"path": "pool.jsonl", "where": "ok"}})
    sections = planned()
    dedup(sections.dedup, home / "out", no_progress)
    score(sections.score, home / "out", home / "out/features")
    selected = select(sections.aggregate, home / "out").table
    assert selected["id"].to_list() == ["r2", "r6", "r0", "r5"]
    assert selected["judge_score"].to_list() == [9.5, 8, 3, 3]
    lines = [json.loads(line) for line in (home / "out/train.jsonl").read_text().splitlines()]
    assert [line["judge_score"] for line in lines] == [9.5, 8, 3, 3]
    assert list(lines[0]) == ["id", "source", "messages", "judge_score"]
