"""Queries and tests with a prefill, a format or a limit: read from a table."""

import pickle

import polars as pl

from dataselect.data.examples import Example, content_columns, conversations, examples
from dataselect.data.tool_use import to_column
from tests.helpers import table
from tests.tool_rows import WEATHER

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def test_only_rows_that_say_how_they_are_encoded_are_examples():
    frame = table("queries", [
        ("t", "plain", TURNS),
        ("t", "prefilled", TURNS, None, "Answer:"),
        ("t", "raw", TURNS, None, None, "raw"),
        ("t", "short", TURNS, None, None, None, 5),
    ])  # fmt: skip
    plain, *others = examples(frame)
    assert type(plain) is list
    assert all(isinstance(row, Example) and row == TURNS for row in others)
    found = [(row.prefill, row.format, row.max_tokens) for row in others]
    assert found == [("Answer:", None, None), (None, "raw", None), (None, None, 5)]
    assert content_columns("queries", frame[:1]) == ["messages"]
    assert content_columns("queries", frame) == ["messages", "prefill", "format", "max_tokens"]
    assert content_columns("pool", frame) == ["messages"]
    assert examples(frame.select("messages")) == [TURNS] * 4


def test_an_example_travels_between_processes():
    row = pickle.loads(pickle.dumps(Example(TURNS, prefill="A:", format="raw", max_tokens=3)))
    assert (row, row.prefill, row.format, row.max_tokens) == (TURNS, "A:", "raw", 3)


def test_tool_use_is_a_part_of_the_row_where_it_is_filled():
    texts = [{"role": turn["role"], "content": turn["content"]} for turn in WEATHER]
    rows = [("t", "plain", TURNS), ("t", "called", texts)]
    frame = table("queries", rows).with_columns(tool_use=pl.Series([None, to_column(WEATHER)]))
    plain, called = examples(frame)
    assert type(plain) is list
    assert (called, called.tools) == (WEATHER, WEATHER.tools)
    assert content_columns("queries", frame) == ["messages", "tool_use"]
    assert content_columns("pool", frame) == ["messages", "tool_use"]
    assert content_columns("pool", frame[:1]) == ["messages"]
    assert conversations(frame.with_columns(format=pl.lit("raw"))) == [TURNS, WEATHER]
