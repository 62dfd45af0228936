"""Kept columns: their names, their types over the whole pool, and their values."""

import datetime
import json
import math
from decimal import Decimal

import polars as pl
import pytest

from dataselect.compute import no_progress
from dataselect.dedup.conversations import BadRow
from dataselect.dedup.kept_columns import ColumnSearch, check_keep, column_types, pack, unpack
from dataselect.dedup.parts import RecordPart
from dataselect.dedup.read import RawRow
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.steps import write_pool
from tests.dedup import NONE_CUT_OFF, row, write
from tests.helpers import mistake

NAN, INF = float("nan"), float("inf")

#: Values of a column, the type that they get, and how they stand in it.
BY_HAND = [
    ([True, None, False], pl.Boolean, [True, None, False]),
    ([3, None, -(2**63)], pl.Int64, [3, None, -(2**63)]),
    ([3, 2.5], pl.Float64, [3.0, 2.5]),
    ([3.0, 2.0], pl.Float64, [3.0, 2.0]),
    ([3, 2**63], pl.Float64, [3.0, 2.0**63]),
    ([10**400, -(10**400)], pl.Float64, [INF, -INF]),
    ([INF, None, 1], pl.Float64, [INF, None, 1.0]),
    ([Decimal("1.5"), 1], pl.Float64, [1.5, 1.0]),
    (["mit", None, ""], pl.String, ["mit", None, ""]),
    ([True, 1], pl.String, ["true", "1"]),
    (["é", 1.5, True], pl.String, ["é", "1.5", "true"]),
    ([["é", 1], {"a": None}], pl.String, ['["é", 1]', '{"a": null}']),
    ([{"a": datetime.date(2024, 2, 3)}], pl.String, ['{"a": "2024-02-03"}']),
    ([datetime.date(2024, 2, 3)], pl.String, ["2024-02-03"]),
    ([None, None], pl.String, [None, None]),
]


def packed(values):
    return pl.Series([pack({"x": value, "y": 1}, ["x"]) for value in values], dtype=pl.String)


@pytest.mark.parametrize(("values", "dtype", "expected"), BY_HAND)
def test_types_and_values_by_hand(values, dtype, expected):
    block = packed(values)
    assert column_types([block], ["x"]) == {"x": dtype}
    (series,) = unpack(block, {"x": dtype})
    assert (series.name, series.dtype, series.to_list()) == ("x", dtype, expected)


def test_nan_stays_a_number():
    block = packed([NAN, 1])
    types = column_types([block], ["x"])
    values = unpack(block, types)[0].to_list()
    assert (types, values[1]) == ({"x": pl.Float64}, 1.0)
    assert math.isnan(values[0])


def test_types_do_not_depend_on_blocks_or_order():
    values = [value for values, _, _ in BY_HAND[:5] for value in values]
    for rows in (values, values[::-1]):
        block = packed(rows)
        for size in (1, 4, 100):
            blocks = [block[i : i + size] for i in range(0, len(block), size)]
            assert column_types(blocks, ["x"]) == {"x": pl.String}


def test_without_kept_columns_nothing_is_packed():
    assert pack({"x": 1}, []) is None
    assert json.loads(pack({"x": 1}, ["x", "absent"])) == {"x": 1, "absent": None}


def test_half_a_surrogate_pair_is_a_bad_row():
    with pytest.raises(BadRow, match=r"kept columns: not valid Unicode: half a surrogate pair"):
        pack({"x": ["\ud83c"]}, ["x"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["license", "Score"], "pool.keep: item 2: `Score` is a column that the tables have alre"),
        (["license", "License"], "pool.keep: item 2: `License` comes twice; upper and lower case"),
        ([" "], "pool.keep: item 1: an empty name. Remove it"),
    ],
)
def test_names_that_clash_are_refused(names, message):
    places = {f"pool.keep: item {i}": name for i, name in enumerate(names, 1)}
    assert message in mistake(check_keep, places)


def part(*records):
    return RecordPart([RawRow("a:1", "a", record) for record in records])


def test_a_column_that_no_row_has_is_named_with_the_nearest():
    search = ColumnSearch({"license": "pool.keep", "judge_scor": "pool.where"})
    search.look(part({"judge_score": 3}, BadRow("not JSON")))
    search.look(part({"license": None, "id": 1}))
    assert mistake(search.check) == (
        "pool.where: no row of the pool has a column `judge_scor`. Did you mean `judge_score`? "
        "There are: judge_score, license, id. A text stands in single quotes. Fix it."
    )
    search.look(part({"judge_scor": 3}))
    search.check()


def pool_of(folder, *names, **rules):
    """The pool and the dropped rows of some files."""
    rules = PoolRules(**rules)
    write_pool(
        list(names),
        folder,
        rules=rules,
        truncation=NONE_CUT_OFF,
        progress=no_progress,
    )
    return [pl.read_parquet(folder / f"{name}.parquet") for name in ("pool", "dropped")]


def test_kept_columns_are_in_the_pool(in_scratch):
    first = row("a", "1", id="r1", license="mit", judge_score=4, tags=["x"])
    rows = [first, {**first, "license": "gpl"}, row("b", "2", id="r2", judge_score=2.5, other=1)]
    write("a.jsonl", rows)
    keep = ["judge_score", "license", "tags"]
    pool, dropped = pool_of(in_scratch / "out", "a.jsonl", keep=keep)
    assert pool.columns == ["row", "id", "source", "messages", *keep]
    assert pool.drop("messages").rows() == [
        (0, "r1", "a", 4.0, "mit", '["x"]'),
        (1, "r2", "a", 2.5, None, None),
    ]
    assert dropped["reason"].to_list() == ["duplicate"]
    plain, _ = pool_of(in_scratch / "plain", "a.jsonl")
    assert plain.equals(pool.drop(keep))
    assert "no row of the pool has a column `licence`. Did you mean `license`?" in mistake(
        pool_of, in_scratch / "out", "a.jsonl", keep=["licence"]
    )


def test_only_rows_of_the_pool_decide_a_type(in_scratch):
    write("a.jsonl", [row("a", "1", x=3), row("b", "2", x="none"), row("c", x="none")])
    where = "x::VARCHAR <> 'none'"
    pool, _ = pool_of(in_scratch / "out", "a.jsonl", keep=["x"], where=where)
    assert pool["x"].dtype == pl.Int64


def test_parquet_and_json_files_keep_the_same(in_scratch):
    rows = [row(f"{i}?", "1", id=f"r{i}", x=i / 2, y="é") for i in range(5)]
    write("a.jsonl", rows)
    pl.DataFrame(rows).write_parquet("a.parquet")
    found = [
        pool_of(in_scratch / kind, f"a.{kind}", keep=["y"], where="x >= 1")
        for kind in ("jsonl", "parquet")
    ]
    assert found[0][0].equals(found[1][0])
    assert found[0][0]["id"].to_list() == ["r2", "r3", "r4"]


def test_a_kept_column_that_is_not_unicode_is_a_bad_row(in_scratch):
    (in_scratch / "a.jsonl").write_text('{"prompt": "x", "completion": "y", "z": "\\ud83c"}\n')
    message = mistake(pool_of, in_scratch / "out", "a.jsonl", keep=["z"])
    assert message.startswith("a.jsonl:1: kept columns: not valid Unicode: half a surrogate pair")


def test_blocks_and_order_change_nothing(in_scratch, monkeypatch):
    values = [1, None, 2.5, "mixed", 4, True, 6, 7, [8], 9]
    rows = [
        row(f"{i % 24}?", "1", id=f"r{i % 24}", x=values[i % 24 % 10], y=i % 24 % 5)
        for i in range(30)
    ]
    rules = {"keep": ["x", "y"], "where": "y > 0 and coalesce(x::VARCHAR, '') <> '6'"}
    found = []
    for size, order in ((8_192, rows), (4, rows), (7, rows[::-1])):
        for module in ("raw", "pool"):
            monkeypatch.setattr(f"dataselect.dedup.{module}.ROWS_PER_BLOCK", size)
        write("a.jsonl", order)
        pool, dropped = pool_of(in_scratch / "out", "a.jsonl", **rules)
        assert (pool["x"].dtype, pool["y"].dtype) == (pl.String, pl.Int64)
        kept = sorted(pool.select("id", "x", "y").rows())
        found.append((kept, sorted(dropped.select("id", "reason").rows())))
    assert found[0] == found[1] == found[2]
    assert len(found[0][0]) == 24 - 5 - 2
