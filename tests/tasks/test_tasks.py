"""The papers' tasks on made rows of the data sets' own schemas: prompts and answers by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dataselect.compute import no_progress
from dataselect.tasks import load_task, published_shots, task_names
from dataselect.tasks.run import make_task
from tests.helpers import mistake
from tests.tasks.made_rows import (
    authors_zip,
    data_set,
    humaneval_files,
    mmlu_row,
    problem,
    squad_row,
)


def made(name):
    """The rows of a task's files, after it was made."""
    counts = make_task(name, load_task(name, "test"), Path("made"), {}, no_progress)
    tables = []
    for side, count in (("queries", counts.queries), ("tests", counts.tests)):
        path = Path(f"made/{side}.parquet")
        rows = pl.read_parquet(path).to_dicts() if path.exists() else []
        assert len(rows) == count
        assert all(row.pop("task") == name for row in rows)
        tables.append(rows)
    return tables


def overlapping(name):
    return make_task(name, load_task(name, "test"), Path("made"), {}, no_progress).overlapping


def order(count):
    """The order in which the published code has `count` queries: datasets' shuffle with seed 42."""
    return np.random.default_rng(42).permutation(count).tolist()


def turns(user, assistant=None):
    messages = [{"role": "user", "content": user}]
    return messages + ([{"role": "assistant", "content": assistant}] if assistant else [])


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def test_every_task_says_what_it_is():
    names = task_names()
    assert {"mmlu", "gsm8k", "bbh", "tydiqa", "humaneval", "squad"} <= set(names)
    for name in names:
        task = load_task(name, "test")
        assert task.sources
        assert (task.kind is None) == (task.tests is None)


def test_an_unknown_task_is_refused():
    message = mistake(lambda: load_task("gsm8", "params.yaml: tests.from"))
    assert message.startswith("params.yaml: tests.from: no task is called `gsm8`.")
    assert "gsm8k" in message


def test_mmlu():
    dev = [mmlu_row("1?", "high_school_physics", 0), mmlu_row("2?", "anatomy", 3)]
    test = [mmlu_row("3?", "anatomy", 2), mmlu_row("4?", "anatomy", 1)]
    data_set("cais/mmlu", {("all", "dev"): dev, ("all", "test"): test})
    queries, tests = made("mmlu")
    prompt = (
        "The following are multiple choice questions (with answers) about  high school physics."
        "\n\n1?\nA. w\nB. x\nC. y\nD. z\nAnswer:"
    )
    by_id = {row["id"]: row for row in queries}
    assert by_id["high_school_physics-0"] == {
        "id": "high_school_physics-0",
        "subtask": "high_school_physics",
        "messages": turns(prompt, "A"),
        "prefill": "The answer is:",
        "max_tokens": 512,
    }
    # By subject in alphabetical order, then shuffled as the published code does.
    in_rounds = ["anatomy-0", "high_school_physics-0"]
    assert [row["id"] for row in queries] == [in_rounds[i] for i in order(2)]
    assert [row["id"] for row in tests] == ["anatomy-0", "anatomy-1"]
    assert tests[0]["messages"][1]["content"] == " C"
    assert tests[0]["choices"] == ["A", "B", "C", "D"]
    assert tests[0]["kind"] == "multiple_choice"


def test_gsm8k():
    rows = [{"question": " How many? ", "answer": "6 * 200 = <<6*200=1200>>1200.\n#### 1,200"}]
    data_set("openai/gsm8k", {("main", "test"): rows})
    queries, tests = made("gsm8k")
    shots = published_shots("gsm8k")
    assert [row["id"] for row in queries] == [f"shot-{i}" for i in order(8)]
    first = next(row for row in queries if row["id"] == "shot-0")
    assert first["prefill"] == "Answer:"
    assert first["messages"] == turns(
        f"Answer the following question.\n\nQuestion: {shots[0]['question']}", shots[0]["answer"]
    )
    assert first["messages"][1]["content"].endswith("So the answer is 6.")
    (test,) = tests
    assert test["answer"] == "1200"
    (prompt,) = (turn["content"] for turn in test["messages"])
    assert prompt.startswith("Answer the following questions.\n\nQuestion: There are 15 trees")
    assert prompt.count("\nAnswer: ") == 8
    assert prompt.endswith("\n\nQuestion: How many?")


def test_bbh():
    shots = published_shots("bbh")
    assert len(shots) == 27
    rows = [{"input": "not True is", "target": "False"}]
    data_set("lukaemon/bbh", {(name, "test"): rows for name in shots})
    queries, tests = made("bbh")
    assert len(queries) == 81
    assert len(tests) == 27
    assert {row["format"] for row in queries} == {"raw"}
    query = next(row for row in queries if row["id"] == "boolean_expressions-shot-0")
    assert query["messages"][0]["content"] == (
        "Evaluate the result of a random Boolean expression.\n\nQ: not ( ( not not True ) ) is"
    )
    assert query["messages"][1]["content"].startswith("Let's think step by step.\nRemember")
    test = next(row for row in tests if row["subtask"] == "boolean_expressions")
    prompt = test["messages"][0]["content"]
    assert prompt.endswith("So the answer is True.\n\nQ: not True is")
    assert prompt.count("\n\nQ: ") == 4
    assert (test["prefill"], test["answer"]) == ("A:", "False")


def test_squad():
    train = [squad_row(f"train-{i}", f"Context {i}.", "Who?", f"a{i}", "other") for i in range(9)]
    test = [
        squad_row("test", "It is red.", "Which colour?", "red", "Red"),
        squad_row("same passage", "It is red.", "What?", "it"),
        squad_row("other passage", "It is blue.", "What?", "it"),
    ]
    data_set("rajpurkar/squad", {("default", "train"): train, ("default", "validation"): test})
    queries, tests = made("squad")
    assert [row["id"] for row in queries] == [f"train-{i}" for i in order(9)]
    number = order(9)[0]
    assert queries[0]["messages"] == turns(f"Context {number}.\n\nWho?", f"a{number}")
    assert queries[0]["max_tokens"] == 512
    row, same, other = tests
    assert row["cluster"] == same["cluster"] != other["cluster"]
    assert row["answers"] == ["red", "Red"]
    (prompt,) = (turn["content"] for turn in row["messages"])
    assert prompt.endswith("what year?\n\n1936\nIt is red.\n\nWhich colour?")
    assert prompt.startswith("Architecturally, the school")


def test_tydiqa():
    languages = sorted(published_shots("tydiqa"))
    train = [squad_row(f"{n}-{i}", f"P{i}", f"Q{i}?", f"A{i}") for n in languages for i in range(3)]
    test = [squad_row("finnish-9", "Teksti.", "Mikä?", "se", "tuo")]
    splits = {("secondary_task", "train"): train, ("secondary_task", "validation"): test}
    data_set("google-research-datasets/tydiqa", splits)
    queries, tests = made("tydiqa")
    assert sorted(row["subtask"] for row in queries) == languages
    finnish = next(row for row in queries if row["subtask"] == "finnish")
    number = finnish["id"].removeprefix("finnish-")
    head = "Vastaa seuraavaan kysymykseen annetun kappaleen tiedon perusteella.\n\n"
    assert finnish["messages"] == turns(
        f"{head}Kappale: P{number}\nKysymys: Q{number}?\n", f"A{number}"
    )
    assert finnish["prefill"] == "Vastaus:"
    (row,) = tests
    assert row["messages"] == turns(
        f"{head}Kappale: P{number}\nKysymys: Q{number}?\nVastaus: A{number}\n\n"
        "Kappale: Teksti.\nKysymys: Mikä?\n"
    )
    assert row["answers"] == ["se", "tuo"]
    assert row["cluster"]


def test_humaneval():
    problems = [problem(number) for number in range(4)]
    humaneval_files(problems, [problems[1]])
    (query,), tests = made("humaneval")
    prefill = "Here is the function:\n\n```python\ndef f1():\n"
    assert query["prefill"] == prefill
    assert query["messages"] == turns("Write f1.", "    return 1\n")
    assert [row["id"] for row in tests] == ["HumanEval/0", "HumanEval/2", "HumanEval/3"]
    program = tests[0]["check"].replace("{{ output }}", "    return 1")
    exec(compile(program, "test", "exec"), {})  # our own text
    assert tests[0]["check"].endswith("\ncheck(f0)\n")


def test_query_sets_without_tests():
    rows = [{"prompt": f" P{i} ", "response": f"R{i}\n", "label": f"L{i}"} for i in range(3)]
    authors_zip(
        **{"eval/wildchat_100_prompts.jsonl": rows, "eval/arena_hard.jsonl": rows},
    )
    for name, letter in (("wildchat", "R"), ("arena_hard", "L")):
        queries, tests = made(name)
        assert tests == []
        found = {row["messages"][0]["content"]: row["messages"][1]["content"] for row in queries}
        assert found == {f"P{i}": f"{letter}{i}" for i in range(3)}


def test_queries_that_overlap_tests_are_named():
    text = "Who was the first to walk alone across the whole of the great northern desert?"
    train = [squad_row("same", "Ada did.", text, "Ada"), squad_row("other", "No.", "Who?", "x")]
    test = [
        squad_row("near", "Ada did.", text.replace("Who", "Tell me who"), "Ada"),
        *(squad_row(f"t{i}", f"A passage on the thing number {i}.", f"What is {i}?", "it")
          for i in range(30)),
    ]  # fmt: skip
    data_set("rajpurkar/squad", {("default", "train"): train, ("default", "validation"): test})
    assert overlapping("squad") == ["same"]


def test_rows_of_another_form_are_refused():
    data_set("openai/gsm8k", {("main", "test"): [{"problem": "1 + 1", "solution": "2"}]})
    message = mistake(lambda: made("gsm8k"))
    assert "gsm8k: tests: a row of its sources has another form" in message
    assert not Path("made/tests.parquet").exists()


def test_what_is_not_there_is_named(monkeypatch):
    data_set("openai/gsm8k", {("main", "train"): [{"question": "?", "answer": "#### 1"}]})
    assert "openai/gsm8k (config main, split test)" in mistake(lambda: made("gsm8k"))
    authors_zip(**{"eval/other.jsonl": []})
    message = mistake(lambda: made("wildchat"))
    assert message.startswith("hamishivi/lsds_data (eval.zip/eval/wildchat_100_prompts.jsonl)")


def test_a_fetch_that_fails_leaves_the_files_of_the_last_one():
    row = {"question": "2 + 2?", "answer": "4\n#### 4"}
    data_set("openai/gsm8k", {("main", "test"): [row]})
    made("gsm8k")
    before = {path.name: path.read_bytes() for path in Path("made").iterdir()}
    assert set(before) == {"queries.parquet", "tests.parquet", "source.json"}
    data_set("openai/gsm8k", {("main", "test"): [{"question": "2 + 2?"}]})
    assert "has another form than expected" in mistake(made, "gsm8k")
    assert {path.name: path.read_bytes() for path in Path("made").iterdir()} == before
