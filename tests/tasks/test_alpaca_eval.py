"""AlpacaEval on made rows of its data sets' schema."""

import json
import random
import zipfile
from pathlib import Path

import pytest

from dataselect.dedup.tasks import read_queries, read_tests
from tests.helpers import mistake
from tests.tasks.test_tasks import data_set, made, order, turns


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def row(number, generator="text_davinci_003"):
    return {
        "instruction": f" Name {number}? ",
        "output": f"It is {number}.",
        "generator": generator,
        "dataset": "koala" if number % 2 else "vicuna",
    }


def sources(tests, queries=60):
    folder = Path("hamishivi/lsds_data")
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "eval.zip", "w") as archive:
        rows = [row(100 + i) for i in range(queries)]
        archive.writestr("eval/alpacaeval/alpaca_eval_dev.json", json.dumps(rows))
    data_set("hamishivi/alpaca_eval_test_mmft", {("default", "test"): tests})


def test_queries_are_drawn_as_published():
    sources([row(0)])
    queries, _ = made("alpaca_eval")
    drawn = list(range(60))
    random.Random(42).shuffle(drawn)
    numbers = [drawn[i] for i in order(50)]
    assert [query["id"] for query in queries] == [f"prompt-{i}" for i in numbers]
    first = numbers[0] + 100
    assert queries[0]["messages"] == turns(f"Name {first}?", f"It is {first}.")
    assert {query["max_tokens"] for query in queries} == {512}


def test_tests_have_the_reference_as_gold_answer():
    sources([row(i) for i in range(3)])
    _, tests = made("alpaca_eval")
    assert tests[1] == {
        "id": "instruction-1",
        "subtask": "koala",
        "messages": turns(" Name 1? ", "It is 1."),  # as published: white space is kept
        "kind": "alpaca_eval",
    }
    assert read_tests(["made/tests.parquet"], "all")["answer"].to_list() == [
        *("It is 0.", "It is 1.", "It is 2."),
    ]
    assert read_queries(["made/queries.parquet"], "all").height == 50


def test_another_models_references_are_refused():
    sources([row(0), row(1, "gpt4_1106_preview")])
    message = mistake(lambda: made("alpaca_eval"))
    assert "expected outputs of text_davinci_003 to compare with; found one of gpt4_1106" in message


def test_rows_without_a_data_sets_name_are_taken():
    rows = [{key: value for key, value in row(0).items() if key in ("instruction", "output")}]
    sources(rows)
    _, (test,) = made("alpaca_eval")
    assert test["messages"] == turns(" Name 0? ", "It is 0.")
