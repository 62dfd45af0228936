"""The table of rows that overlap tests: what is in it, and what is dropped."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.dedup import raw
from dataselect.dedup.contamination import Contamination, overlapping_queries
from dataselect.dedup.pool import RawPool
from dataselect.dedup.settings import DecontaminateSettings, PoolRules
from dataselect.dedup.steps import write_pool
from tests.dedup import NONE_CUT_OFF, row, turns, write
from tests.dedup.test_overlaps import LONG, WORDS, table

REPORT, DROP = DecontaminateSettings(), DecontaminateSettings(action="drop")


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def run(rows, tests, settings, out="out"):
    """The tables pool, dropped and contamination of these rows."""
    write_pool(
        [write("a.jsonl", rows)],
        Path(out),
        rules=PoolRules(),
        truncation=NONE_CUT_OFF,
        progress=no_progress,
        tests=tests,
        decontaminate=settings,
    )
    names = ("pool", "dropped", "contamination")
    return [tables.read(name, Path(out) / f"{name}.parquet") for name in names]


GOLD = "nine words that only stand in this one answer"
TESTS = table(("a", LONG), ("b", "Add 2 and 3."), ("b", "Who?", GOLD), ("b", "2 and 3"))
ROWS = [
    row("Hello", "you", id="r0", source="s"),
    row(f"So: {LONG}!", "yes", id="r1", source="s"),
    row(f"So: {LONG}!", "yes", id="again", source="s"),
    row("Add 2 and 3", "5", id="r2", source="t"),
    row(" ".join(WORDS[:15]), GOLD, id="r3", source="t"),
    row("Bye", f"It is: {GOLD}", id="r4", source="t"),
]


def test_reported_rows_stay():
    off = run(ROWS, TESTS, None)
    assert off[2].is_empty()
    pool, dropped, found = run(ROWS, TESTS, REPORT)
    assert (pool.equals(off[0]), dropped.equals(off[1])) == (True, True)
    fifteen = " ".join(WORDS[:15])
    assert found.rows() == [
        (1, "r1", "s", "a", "t0", 1.0, LONG, True, False),
        (2, "r2", "t", "b", "t1", 1.0, "Add 2 and 3", True, False),
        (2, "r2", "t", "b", "t3", 1.0, "2 and 3", True, False),
        (3, "r3", "t", "a", "t0", 0.75, fifteen, True, False),
        (3, "r3", "t", "b", "t2", 0.0, GOLD, False, True),
        (4, "r4", "t", "b", "t2", 0.0, GOLD, False, True),
    ]


def test_dropped_rows_are_listed_without_a_number():
    pool, dropped, found = run(ROWS, TESTS, DROP)
    assert pool["id"].to_list() == ["r0", "r4"]  # an answer alone is no reason
    assert dropped.select("id", "source", "reason", "detail", "place").rows() == [
        ("r1", "s", "overlaps a test", "a: t0", "a.jsonl:2"),
        ("again", "s", "duplicate", "r1", "a.jsonl:3"),
        ("r2", "t", "overlaps a test", "b: t1", "a.jsonl:4"),
        ("r3", "t", "overlaps a test", "a: t0", "a.jsonl:5"),
    ]
    assert found.select("row", "id", "test").rows() == [
        (None, "r1", "t0"),
        (None, "r2", "t1"),
        (None, "r2", "t3"),
        (None, "r3", "t0"),
        (None, "r3", "t2"),
        (1, "r4", "t2"),
    ]


def test_without_tests_nothing_overlaps():
    assert run(ROWS, TESTS[:0], DROP)[2].is_empty()
    assert run(ROWS, None, DROP)[0].height == 5


def test_the_settings_decide_what_overlaps():
    assert run(ROWS, TESTS, replace(REPORT, share=0.8))[2].filter(id="r3").height == 1
    assert run(ROWS, TESTS, replace(REPORT, ngram=16))[2].filter(id="r3").height == 0


def test_rows_that_are_left_out_later_for_another_reason_are_not_listed(here):
    raw.write_raw(
        [write("a.jsonl", ROWS)],
        here / "raw.parquet",
        PoolRules(),
        NONE_CUT_OFF,
        no_progress,
    )
    pool = RawPool(here / "raw.parquet")
    contamination = Contamination(TESTS, REPORT, here / "found.parquet")
    contamination.find(pool)
    pool.drop(np.array([1, 3]), "near-duplicate", ["r0", "r0"])
    contamination.write(pool.kept, here / "contamination.parquet")
    found = tables.read("contamination", here / "contamination.parquet")
    assert found.select("row", "id").rows() == [(1, "r3"), (1, "r3"), (2, "r4")]


@pytest.mark.parametrize("settings", [REPORT, DROP])
def test_blocks_and_threads_change_nothing(settings, monkeypatch):
    rows = [row(f"{i} {LONG if i % 7 == 0 else 'x'}", "y", id=f"r{i}") for i in range(100)]
    whole_pool = run(rows, TESTS, settings)
    assert whole_pool[2].height == 15
    for module in ("raw", "pool"):
        monkeypatch.setattr(f"dataselect.dedup.{module}.ROWS_PER_BLOCK", 9)
    for count in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", count)
        again = run(rows, TESTS, settings)
        assert [a.equals(b) for a, b in zip(whole_pool, again, strict=True)] == [True] * 3


def test_a_permuted_pool_has_the_same_overlaps():
    permuted = random.Random(0).sample(ROWS, len(ROWS))
    columns = ["source", "task", "test", "share", "text", "question_found", "answer_found"]
    found = [run(rows, TESTS, REPORT)[2].select(columns) for rows in (ROWS, permuted)]
    assert found[0].sort(columns).equals(found[1].sort(columns))


def test_queries_by_the_same_rule():
    made = [("a", f"{LONG} x", "q0"), ("b", "Hello", "q1"), ("b", "Do add 2 and 3!", "q2")]
    rows = [
        {"task": task, "id": name, "messages": turns(("user", text), ("assistant", GOLD))}
        for task, text, name in made
    ]
    schema = tables.schema("queries")
    queries = pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema)
    assert overlapping_queries(queries, TESTS, REPORT) == [("a", "q0"), ("b", "q2")]
    assert overlapping_queries(queries, TESTS[:0], REPORT) == []
    assert overlapping_queries(queries[:0], TESTS, REPORT) == []
