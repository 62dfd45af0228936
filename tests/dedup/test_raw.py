"""The raw table of merged sets: ids, sources, columns; what order, blocks and files change not."""

import json
import math
import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataselect.compute import no_progress
from dataselect.dedup import raw
from dataselect.dedup.conversations import duplicate_key
from dataselect.dedup.raw import write_raw
from dataselect.dedup.settings import PoolRules
from tests.dedup import NONE_CUT_OFF, row, turns, write
from tests.helpers import mistake


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def read(*files, fields=("id", "source", "reason"), **rules):
    """The raw rows of files: tuples of these fields."""
    write_raw(
        list(files),
        "raw.parquet",
        PoolRules(**{"most_dropped": 1, **rules}),
        NONE_CUT_OFF,
        no_progress,
    )
    return pl.read_parquet("raw.parquet").select(fields).rows()


def made(user, assistant):
    return duplicate_key(row(user, assistant)["messages"])[:20]


MERGED = [row("x", "1", id="a", source="web"), row("x", "2", id="a", dataset="book"), row("x", "3")]


@pytest.mark.parametrize(
    ("how", "ids"),
    [
        ("keep", ["a", "a", made("x", "3")]),
        ("prefix", ["web/a", "book/a", made("x", "3")]),
        ("content", [made("x", "1"), made("x", "2"), made("x", "3")]),
    ],
)
def test_ids(how, ids):
    expected = list(zip(ids, ["web", "book", "m"], [None] * 3, strict=True))
    assert read(write("m.jsonl", MERGED), id=how) == expected


def test_a_prefix_is_the_source_of_the_file_not_its_new_name():
    rows = [row("x", "1", id=1, source="science.a"), row("x", "2", id=1, source="science.b")]
    renamed = read(write("m.jsonl", rows), id="prefix", sources={"science*": "science"})
    assert renamed == [("science.a/1", "science", None), ("science.b/1", "science", None)]
    assert read(write("flan.jsonl", [row("x", "y", id=7)]), id="prefix")[0][0] == "flan/7"


def test_what_pandas_writes_for_missing_values():
    """Whole numbers beside a missing value become floats; a missing text is NaN, or null."""
    table = pa.table({
        "id": [1.0, math.nan, 3.0],
        "source": pa.array([math.nan] * 3),
        "dataset": ["web", None, ""],
        "prompt": ["x"] * 3,
        "response": [1.0, 2.5, math.nan],
    })  # fmt: skip
    pq.write_table(table, "frame.parquet")
    assert read("frame.parquet", fields=["id", "source", "reason", "messages"]) == [
        ("1", "web", None, turns(("user", "x"), ("assistant", "1.0"))),
        (made("x", "2.5"), "frame", None, turns(("user", "x"), ("assistant", "2.5"))),
        ("3", "frame", "no assistant turn", turns(("user", "x"))),
    ]


def test_sources_left_out_need_not_be_right():
    rows = [
        {"id": 1, "source": "hard_coded", "messages": [{"role": "robot"}]},
        row("x", "y", id=2, source="science.a"),
        row("x", "z", source="hard_coded"),
    ]
    files = [write("m.jsonl", rows), "broken.jsonl"]
    Path("broken.jsonl").write_text("{not json\n")
    rules = {"science*": "science", "hard_coded": None, "broken": None}
    assert read(*files, sources=rules) == [
        ("1", "hard_coded", "source left out"),
        ("2", "science", None),
        ("m.jsonl:3", "hard_coded", "source left out"),
        ("broken.jsonl:1", "broken", "source left out"),
    ]


def test_the_condition_is_computed_for_wanted_sources_only_and_ids_are_made_alike():
    rows = [row("x", "1", id=1, source="a", n=1), row("x", "2", id=2, source="a", n=3),
            row("x", "3", id=1, source="b", n="none")]  # fmt: skip
    path = write("a.jsonl", rows)
    assert read(path, where="n > 1", sources={"b": None, "a": "A"}, id="prefix") == [
        ("a/1", "A", "filtered by pool.where"),
        ("a/2", "A", None),
        ("b/1", "b", "source left out"),
    ]


def test_an_entry_of_sources_that_matches_nothing_ends_the_reading():
    path = write("m.jsonl", MERGED)
    assert "pool.sources: `wab` matches no source" in mistake(read, path, sources={"wab": "web"})


def test_columns_of_the_files_own_names():
    rows = [{"question": "x", "answer": 4, "key": 1.0, "origin": "web", "prompt": "no"}]
    columns = {"prompt": "question", "response": "answer", "id": "key", "source": "origin"}
    found = read(write("m.jsonl", rows), columns=columns, fields=["id", "source", "messages"])
    assert found == [("1", "web", turns(("user", "x"), ("assistant", "4")))]


def test_a_bad_row_names_the_column_that_it_lacks(monkeypatch):
    monkeypatch.setattr(raw, "ROWS_PER_BLOCK", 1)  # in a long file, before its end is seen
    path = write("m.jsonl", [{"qestion": "x", "answer": "y"}])
    rules = PoolRules(columns={"prompt": "question", "response": "answer"})
    message = mistake(write_raw, [path], "raw.parquet", rules, NONE_CUT_OFF, no_progress)
    assert message.startswith("m.jsonl:1: no messages: expected a column `messages`, ")
    assert (
        "found qestion, answer, prompt (empty), response; no column `question`, which "
        "`pool.columns` names. Fix the row, name its columns in `pool.columns`, or set "
        "`pool.on_bad_row: drop` in params.yaml" in message
    )


def merged_sets():
    """Rows of several forms, sources and faults."""
    for i in range(300):
        name, source = f"r{i % 200}", f"science.{i % 3}" if i % 2 else "web"
        common = {"id": name, "source": source if i % 5 else None}
        yield {**common, "prompt": f"{i}?", "response": i}
        yield {**common, "messages": json.dumps(row(f"{i}!", "y")["messages"])}
        yield {**common, "source": "hard_coded", "messages": "no"}
        yield {**common, "question": f"{i}"}


@pytest.mark.parametrize("how", ["keep", "content", "prefix"])
def test_what_becomes_of_a_row_does_not_depend_on_its_place_block_or_file(how, monkeypatch):
    sources = {"science*": "science", "hard_coded": None}
    fields = ["id", "source", "reason", "key", "messages"]

    def rows_of(*files):
        found = read(*files, id=how, sources=sources, on_bad_row="drop", fields=fields)
        return sorted(map(str, found))

    rows = list(merged_sets())
    expected = rows_of(write("m.jsonl", rows))
    random.Random(0).shuffle(rows)
    assert rows_of(write("m.jsonl", rows)) == expected
    Path("other").mkdir()
    halves = [write("m.jsonl", rows[:500]), write("other/m.jsonl", rows[500:])]
    assert rows_of(*halves) == expected
    monkeypatch.setattr(raw, "ROWS_PER_BLOCK", 7)
    assert rows_of(*halves) == expected
