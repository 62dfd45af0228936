"""`pool.where`: which rows meet a condition, by hand; laws; and what is refused."""

import datetime
import random
from decimal import Decimal

import polars as pl
import pytest

from dataselect.compute import no_progress
from dataselect.dedup.condition import needed_columns
from dataselect.dedup.conversations import BadRow
from dataselect.dedup.filter import RowFilter
from dataselect.dedup.read import RawRow
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.steps import write_pool
from dataselect.plan.sample import sample_pool
from tests.dedup import NONE_CUT_OFF, row, write
from tests.helpers import change, mistake, planned


def raw(*records):
    return [RawRow(f"a.jsonl:{n}", "a", record) for n, record in enumerate(records, 1)]


def met(where, *records):
    """Whether each record meets the condition."""
    return RowFilter(where)(raw(*records))


MIT = {"judge_score": 5, "license": "mit"}

#: A condition, a record, and whether the record meets it.
BY_HAND = [
    ("judge_score >= 4 and license = 'mit'", MIT, True),
    ("judge_score >= 4 and license = 'mit'", {**MIT, "license": "gpl"}, False),
    ("judge_score >= 4 and license = 'mit'", {**MIT, "judge_score": 3.9}, False),
    ("judge_score >= 4", {}, False),  # null
    ("not judge_score >= 4", {}, False),
    ("judge_score is null", {}, True),
    ("judge_score is null", {"judge_score": None}, True),
    ("judge_score is null", {"judge_score": float("nan")}, True),
    ("judge_score > 1e300", {"judge_score": float("inf")}, True),
    ("judge_score > 1e18", {"judge_score": 10**30}, True),
    ("judge_score > 1e300", {"judge_score": 10**400}, True),
    ("judge_score >= 4.5", {"judge_score": Decimal("4.5")}, True),
    ("JUDGE_SCORE >= 4 or judge_score < 1", {"JUDGE_SCORE": 0}, True),
    ("checked", {"checked": False}, False),
    ('"my column" ilike \'%Ä%\'', {"my column": "ä"}, True),
    ("x = 'it''s' -- a comment", {"x": "it's"}, True),
    ("license in ('mit', 'bsd')", {"license": "bsd"}, True),
    ("abs(x) > 3 or lower(y) = 'a'", {}, False),
    ("abs(x) > 3 or lower(y) = 'a'", {"x": -4}, True),
    ("meta.score > 3", {"meta": {"score": 4}}, True),
    ("meta.score > 3", {}, False),
    ("meta->>'by' = 'a'", {"meta": {"by": "a"}}, True),
    ("json_array_length(tags) = 2", {"tags": ["a", "b"]}, True),
    ("'a' in tags::VARCHAR[]", {"tags": ["a", "b"]}, True),
    ("len(list_filter(x::VARCHAR[], lambda t: t = y)) = 1", {"x": ["a", "b"], "y": "b"}, True),
    ("day >= '2024-02-01'", {"day": datetime.date(2024, 2, 3)}, True),
    ("day::DATE >= DATE '2024-02-04'", {"day": "2024-02-03"}, False),
    ("x = '?'", {"x": "\ud83c"}, True),  # half a surrogate pair
    ("1 = 1", {}, True),
    ("try_cast(x AS DOUBLE) > 1", {"x": "no number"}, False),
]  # fmt: skip


@pytest.mark.parametrize(("where", "record", "expected"), BY_HAND)
def test_by_hand(where, record, expected):
    assert met(where, record) == [expected]


def test_without_a_condition_every_row_stays():
    assert RowFilter(None)(raw({}, BadRow("not JSON"))) == [True, True]
    assert RowFilter(None).columns == ()


def test_a_row_that_cannot_be_read_is_left_to_others():
    assert RowFilter("x > 1")(raw({"x": 1}, BadRow("not JSON"), {"x": 2})) == [False, True, True]


def test_a_rows_result_depends_on_no_other_row():
    """Blocks and order change nothing, though the columns' types are mixed."""
    condition = RowFilter("coalesce(try_cast(x AS DOUBLE), 0) + len(y::VARCHAR) > 4")
    draw = random.Random(0)
    values = [None, 3, 3.5, "4", "abc", True, [1, 2], {"a": 1}, 10**20]
    rows = raw(*({"x": draw.choice(values[:5]), "y": draw.choice(values)} for _ in range(80)))
    together = condition(rows)
    assert 10 < sum(together) < 70
    assert [condition([row])[0] for row in rows] == together
    order = draw.sample(range(80), 80)
    assert condition([rows[i] for i in order]) == [together[i] for i in order]
    assert condition(rows[:33]) + condition(rows[33:]) == together


def test_the_columns_are_those_of_the_expression():
    where = """a > 1 and "B c".d = 'x' and len(list_filter(e, lambda t: t = f)) > 0 and A < 3
               and len([u for u in g if u > h]) > 1 and i->>'j' = 'k'"""
    assert needed_columns(where) == ("a", "B c", "e", "f", "g", "h", "i")


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("x > ", 'syntax error at or near ">"; found `x > `. Expected a condition'),
        ("", "Expected a condition in DuckDB's SQL, like `judge_score >= 4"),
        ("x > 1, y > 1", "found `x > 1, y > 1`. Expected one condition; join several with `and`"),
        ("x > 1; DROP TABLE y", "nly SELECT statements"),
        ("x > 1 FROM y", "syntax error"),
        ("x > 1 ORDER BY x", "syntax error"),
        ("x > (SELECT 1)", "found a query inside it. Expected a condition on the columns of one"),
        ("EXISTS (FROM y)", "found a query inside it"),
        ("row_number() OVER () > 1", "found a window function"),
        ("count(*) > 1", "`count_star` is not a function of the values of one row"),
        ("sum(x) > 1", "`sum` is not a function of the values of one row"),
        ("read_text('x') = ''", "`read_text` is not a function of the values of one row"),
        ("random() < 0.5", "`random` is not a function of the values of one row; the same row"),
        ("x < now()", "`now` is not a function of the values of one row"),
        ("lowr(x) = 'a'", "`lowr` is no function of DuckDB"),
        ("x > $1", "found a parameter"),
        ("COLUMNS('a.*') > 1", "found a `*`"),
    ],
)
def test_what_is_no_condition_is_refused(where, reason):
    message = mistake(needed_columns, where)
    assert message.startswith("pool.where: ")
    assert reason in message


@pytest.mark.parametrize(
    ("where", "values", "number", "reason"),
    [
        ("x >= 4", [5, 4.5, None, "5", 3, "6"], 4, "x: text compared with number. The row"),
        ("x = 'mit'", ["mit", 3, "bsd"], 2, "x: number compared with text. The row has x = 3"),
        ("x = 5", [5, "4.6"], 2, "x: text compared with number"),
        ("x in (5, 3)", [5, "4.6"], 2, "x: text compared with number"),
        ("5 between 1 and x", ["a"], 1, "x: text compared with number"),
        ("x = true", [True, None, "yes", 1], 3, "x: text compared with true or false"),
        ("x::INT > 1", [*map(str, range(100)), "five", "6", "seven"], 101, '"five"'),
        ("x.a > 1", [{"a": 3}, None, {}, "text"], 4, 'x = "text"'),
        ("len(x) > 1", ["ab", 4], 2, "len(BIGINT)"),
        ("len(x) > 1", ["ab", [1, 2]], 2, "json_array_length(column)` a length"),
        ("x", [True, None, 4], 3, "it is no condition, but a number or a text"),
        ("x.by = 'a'", [{"by": "a"}], 1, "`column->>'name'` is the text in an object"),
    ],
)  # fmt: skip
def test_the_first_row_for_which_it_cannot_be_computed_is_named(where, values, number, reason):
    rows = raw(*({"x": value} for value in values))
    message = mistake(RowFilter(where), rows)
    assert message.startswith(f"a.jsonl:{number}: pool.where cannot be computed: ")
    assert reason in message
    assert "Fix the row, or the condition" in message


def test_filtered_rows_are_dropped_with_the_reason_whatever_else_is_wrong_with_them(in_scratch):
    rows = [
        row("a", "1", id="r1", dataset="web", x=1),
        row("a", "1", id="r2", x=3),
        {"id": "r3", "x": 0},  # no messages
        row("b", "2", id="r4"),
    ]
    write("a.jsonl", rows)
    counts = write_pool(
        ["a.jsonl"],
        in_scratch / "out",
        rules=PoolRules(where="x > 1"),
        truncation=NONE_CUT_OFF,
        progress=no_progress,
    )
    pool, dropped = (pl.read_parquet(f"out/{name}.parquet") for name in ("pool", "dropped"))
    assert pool["id"].to_list() == ["r2"]
    reason = "filtered by pool.where"
    assert dropped.rows() == [
        ("r1", "web", reason, None, "a.jsonl:1"),
        ("r3", "a", reason, None, "a.jsonl:3"),
        ("r4", "a", reason, None, "a.jsonl:4"),
    ]
    assert counts.dropped == {reason: 3}


def test_the_plan_checks_the_condition_and_the_estimate_counts_by_it(home):
    pool = {"path": "pool.jsonl", "where": "id = 'r3' or prompt like '4%'"}
    change({"pool": pool})
    assert planned().dedup.rules.where == pool["where"]
    read, sample = sample_pool(["pool.jsonl"], 400, no_progress, PoolRules(where=pool["where"]))
    assert read == len(sample) == 2
    change({"pool": pool | {"where": "id = "}})
    assert mistake(planned).startswith("pool.where: syntax error")
