"""Columns with names of their own: what a row becomes, and names that are wrong."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataselect.dedup.columns import check_columns, read_pool_rows, rename
from dataselect.dedup.conversations import parse_messages
from tests.dedup import row, turns, write
from tests.helpers import mistake

QUESTIONS = {"prompt": "question", "response": "answer"}


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


RENAMED = {
    "nothing to rename": ({}, {"prompt": "x", "answer": "y"}, {"prompt": "x", "answer": "y"}),
    "both sides": (
        QUESTIONS,
        {"question": "x", "answer": "y", "id": 1},
        {"question": "x", "answer": "y", "id": 1, "prompt": "x", "response": "y"},
    ),
    "a name for two": (
        {"id": "key", "source": "key"},
        {"key": "k"},
        {"key": "k", "id": "k", "source": "k"},
    ),
    "names exchanged": (
        {"prompt": "response", "response": "prompt"},
        {"prompt": "y", "response": "x"},
        {"prompt": "x", "response": "y"},
    ),
    "another form beside it": (
        QUESTIONS,
        {"question": "x", "answer": "y", "messages": [], "output": "z", "completion": "w"},
        {"question": "x", "answer": "y", "prompt": "x", "response": "y"},
    ),
    "a part of a form": (
        {"response": "answer"},
        {"prompt": "x", "answer": "y", "completion": "w"},
        {"prompt": "x", "answer": "y", "response": "y"},
    ),
    "an id beside any form": (
        {"id": "key", "dataset": "origin"},
        {"key": 7, "origin": "web", "source": "x", "instruction": "x", "output": "y"},
        {
            "key": 7,
            "origin": "web",
            "instruction": "x",
            "output": "y",
            "id": 7,
            "dataset": "web",
        },
    ),
    "a row that lacks a column": (
        {"prompt": "question", "system": "rules"},
        {"question": "x", "system_prompt": "no"},
        {"question": "x", "prompt": "x", "system": None},
    ),
}


@pytest.mark.parametrize("name", RENAMED)
def test_a_row_has_our_names_before_its_own(name):
    columns, record, expected = RENAMED[name]
    assert rename(record, columns) == expected


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "csv"])
def test_columns_are_read_from_every_kind_of_file(here, kind):
    if kind == "parquet":
        table = pa.table({"question": ["x"], "answer": ["y"], "picture": [b"\x89PNG"]})
        pq.write_table(table, "x.parquet")
    elif kind == "jsonl":
        write("x.jsonl", [{"question": "x", "answer": "y"}])
    else:
        (here / "x.csv").write_text("question,answer\nx,y\n")
    (raw,) = read_pool_rows([f"x.{kind}"], QUESTIONS)
    assert parse_messages(rename(raw.record, QUESTIONS)) == row("x", "y")["messages"]


def test_messages_may_have_another_name():
    talk = turns(("user", "x"), ("assistant", "y"))
    assert parse_messages(rename({"chat": talk}, {"messages": "chat"})) == talk


def test_a_column_may_stand_in_a_file_only_later():
    rows = [{"question": "x", "answer": "y"}, {"question": "z", "answer": "y", "rules": "Be short"}]
    write("x.jsonl", rows)
    columns = {**QUESTIONS, "system": "rules"}
    assert [raw.record for raw in read_pool_rows(["x.jsonl"], columns)] == rows


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_file_that_lacks_a_column(kind):
    rows = [{"qestion": "x", "answer": "y"}] * 2
    write("x.jsonl", rows)
    pq.write_table(pa.Table.from_pylist(rows), "x.parquet")
    write("good.jsonl", [{"question": "x", "answer": "y"}])
    files = ["good.jsonl", f"x.{kind}"]
    assert mistake(lambda: list(read_pool_rows(files, QUESTIONS))) == (
        f"x.{kind}: no column `question`, which `pool.columns` in params.yaml names. The file has "
        "qestion, answer. Fix the name there."
    )


def test_a_file_without_rows_lacks_nothing():
    write("x.jsonl", [])
    assert list(read_pool_rows(["x.jsonl"], QUESTIONS)) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"promt": "question"},
            "params.yaml: pool.columns: `promt` is no column that a row of the pool is read from. "
            "Expected `ours: theirs`. Did you mean `prompt`? There are: id, source, dataset, ",
        ),
        (
            {"prompt": ""},
            "params.yaml: pool.columns.prompt: expected the name of a column of the files; found "
            "nothing. Set it.",
        ),
    ],
)
def test_names_that_the_plan_refuses(columns, message):
    assert mistake(check_columns, columns).startswith(message)
    check_columns(QUESTIONS)
