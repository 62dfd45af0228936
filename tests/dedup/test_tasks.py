"""The queries and the tests, worked by hand: tasks, ids, answers, and mistakes in them."""

import math

import polars as pl
import pytest

from dataselect.data import tables
from dataselect.data.examples import examples
from dataselect.data.tool_use import to_column
from dataselect.dedup.conversations import duplicate_key
from dataselect.dedup.tasks import queries_in_tests, read_queries, read_tests, task_counts
from tests.dedup import row, write
from tests.helpers import mistake
from tests.tool_rows import TOOLS, WEATHER


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def test_queries_keep_their_order_and_are_named_after_their_file(here):
    write("river.jsonl", [row("a", id="q1", task="town"), row("b", "c")])
    write("road.jsonl", [row("d", id=1), {"prompt": "e", "task": 7, "id": "q1"}])
    frame = read_queries(["road.jsonl", "river.jsonl"], "all")
    tables.check("queries", frame)
    assert frame.rows() == [
        ("road", "1", row("d")["messages"], *[None] * 4),
        ("7", "q1", row("e")["messages"], *[None] * 4),
        ("town", "q1", row("a")["messages"], *[None] * 4),
        ("river", duplicate_key(row("b", "c")["messages"])[:20], row("b", "c")["messages"])
        + (None,) * 4,
    ]
    some = read_queries(["road.jsonl", "river.jsonl"], ["town", "road"])
    assert some["task"].to_list() == ["road", "town"]


def test_queries_may_be_of_other_tasks_than_the_tests():
    path = write("queries.jsonl", [row("x", id="c", task="chats"), row("x", id="s", task="sums")])
    assert read_queries([path], "all")["task"].to_list() == ["chats", "sums"]
    assert read_queries([path], ["chats"])["task"].to_list() == ["chats"]
    assert read_queries([], "all").is_empty()


def test_subtasks_are_kept():
    path = write("queries.jsonl", [row("x", id=1, subtask="one"), row("x", id=2, subtask=None)])
    assert read_queries([path], "all")["subtask"].to_list() == ["one", None]


def test_tasks_are_counted_and_summed_up():
    queries = read_queries([write("a.jsonl", [row("x"), row("y"), row("x", task="b")])], "all")
    tests = read_tests([write("c.jsonl", [row("x", "y"), row("x", "y", task="b")])], "all")
    assert task_counts(queries, tests) == [("a", 2, 0), ("b", 1, 1), ("c", 0, 1), ("all", 3, 2)]


def test_tests_end_with_their_answer(here):
    write(
        "sums.jsonl",
        [
            row("1 + 1?", "2", id="t1"),
            row("1 + 2?", "The sum is 3", id="t2", answer=3),
            row("1 + 3?", id="t3", answer="4", choices=[3, 4], kind="multiple_choice"),
            {"prompt": "1 + 4?", "answer": "5", "task": "more"},
        ],
    )
    frame = read_tests(["sums.jsonl"], "all")
    tables.check("tests", frame)
    made = duplicate_key(row("1 + 4?", "5")["messages"])[:20]
    columns = ["task", "id", "messages", "answer", "choices", "kind"]
    assert frame.select(columns).rows() == [
        ("sums", "t1", row("1 + 1?", "2")["messages"], "2", None, None),
        ("sums", "t2", row("1 + 2?", "The sum is 3")["messages"], "3", None, None),
        ("sums", "t3", row("1 + 3?", "4")["messages"], "4", ["3", "4"], "multiple_choice"),
        ("more", made, row("1 + 4?", "5")["messages"], "5", None, None),
    ]
    assert read_tests(["sums.jsonl"], ["more", "untested"])["id"].to_list() == [made]


MISTAKES = {
    "no query": (
        read_queries,
        [],
        "all",
        "queries.path: no row in a.jsonl. Expected at least one.",
    ),
    "no test": (read_tests, [], "all", "tests.path: no row in a.jsonl. Expected at least one."),
    "a query without messages": (
        read_queries,
        [row("x"), {"question": "x"}],
        "all",
        "queries.path: a.jsonl:2: no messages: expected a column `messages`, `conversations`, "
        "`instruction` and `output`, or `prompt` and `completion` or `response`; found question. "
        "Fix the row.",
    ),
    "an empty query": (
        read_queries,
        [row(" ")],
        "all",
        "queries.path: a.jsonl:1: empty: expected at least one message with text. Fix the row.",
    ),
    "a query that is no object": (
        read_queries,
        [5],
        "all",
        "queries.path: a.jsonl:1: expected an object with messages, found a number. Fix the row.",
    ),
    "ids of queries twice": (
        read_queries,
        [row("x", id=1), row("y", id=2), row("z", id="1"), row("q"), row("q "), row("z", id=9)],
        "all",
        "queries.path: 2 ids are repeated within a task: `1` of a at a.jsonl:1, a.jsonl:3, "
        "`d05bc21d2d020552d20e` of a at a.jsonl:4, a.jsonl:5. Expected one id per row; a row "
        "without one gets it from its content. Fix the ids, or remove equal rows.",
    ),
    "ids of tests twice": (
        read_tests,
        [row("x", "y", id=1), row("z", "y", id=1)],
        "all",
        "tests.path: 1 ids are repeated within a task: `1` of a at a.jsonl:1, a.jsonl:2. Expected "
        "one id per row; a row without one gets it from its content. Fix the ids, or remove equal "
        "rows.",
    ),
    "a test without an answer": (
        read_tests,
        [row("x", "y"), row("z")],
        "all",
        "tests.path: a.jsonl:2: no answer: expected a last assistant turn or a column `answer`. "
        "Fix the row.",
    ),
    "choices that are no list": (
        read_tests,
        [row("x", "y", choices={"text": ["y"]})],
        "all",
        "tests.path: a.jsonl:1: choices: expected a list, found an object. Fix the row.",
    ),
    "a choice that is null": (
        read_tests,
        [row("x", "y", choices=["y", None])],
        "all",
        "tests.path: a.jsonl:1: choices: expected text, found null. Fix the row.",
    ),
    "a task without queries": (
        read_queries,
        [row("x", task="gsm8k"), row("x", task="bbh")],
        ["bbh", "gsm8"],
        "tasks: `gsm8` has no queries. Did you mean `gsm8k`? There are: gsm8k, bbh. "
        "To take all queries, also of other tasks than the tests', set `queries: {path: …, tasks: "
        "all}`.",
    ),
    "no tests of the tasks": (
        read_tests,
        [row("x", "y", task="gsm8k"), row("x", "y", task="bbh")],
        ["squad", "mmlu"],
        "tests.path: no test of squad, mmlu; there are tests of gsm8k, bbh. Add tests, or fix "
        "`tasks`.",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_queries_and_tests(name):
    read, rows, tasks, message = MISTAKES[name]
    assert mistake(read, [write("a.jsonl", rows)], tasks) == message


def test_how_a_row_is_encoded_is_read(here):
    write("q.jsonl", [
        row("x", " A", id="1", prefill="The answer is:", max_tokens=512),
        row("x", " A", id="2", format="raw", prefill=None),
        row("x", " A", id="3", format="chat", max_tokens=512.0),
    ])  # fmt: skip
    expected = [("The answer is:", None, 512), (None, "raw", None), (None, "chat", 512)]
    for frame in (read_queries(["q.jsonl"], "all"), read_tests(["q.jsonl"], "all")):
        assert frame.select("prefill", "format", "max_tokens").rows() == expected
        assert frame["messages"][0][1]["content"] == " A"  # the space counts


ENCODING_MISTAKES = [
    ({"format": "tulu"}, "format: expected chat or raw, found 'tulu'"),
    ({"max_tokens": 0}, "max_tokens: expected a whole number from 1 on, found 0"),
    ({"max_tokens": 1.5}, "max_tokens: expected a whole number from 1 on, found 1.5"),
    ({"max_tokens": True}, "max_tokens: expected a whole number from 1 on, found True"),
    ({"max_tokens": "few"}, "max_tokens: expected a whole number from 1 on, found 'few'"),
    ({"max_tokens": "0"}, "max_tokens: expected a whole number from 1 on, found 0.0"),
    ({"max_tokens": float("inf")}, "max_tokens: expected a whole number from 1 on, found inf"),
    ({"max_tokens": 10**400}, f"max_tokens: expected a whole number from 1 on, found 1{'0' * 59}"),
]


@pytest.mark.parametrize(("columns", "message"), ENCODING_MISTAKES)
def test_mistakes_in_how_a_row_is_encoded(columns, message):
    path = write("a.jsonl", [row("x", "y", **columns)])
    assert mistake(read_queries, [path], "all") == (
        f"queries.path: a.jsonl:1: {message}. Fix the row."
    )


@pytest.mark.parametrize("columns", [{}, {"answer": "y"}, {"answer": None}])
def test_a_prefill_of_a_query_needs_an_answer_after_it(columns):
    path = write("a.jsonl", [row("x", prefill="A:", **columns)])
    assert mistake(read_queries, [path], "all") == (
        "queries.path: a.jsonl:1: prefill: expected an answer after it, as the last assistant "
        "turn. Fix the row."
    )


@pytest.mark.parametrize("columns", [{"answer": "y"}, {"answers": ["y"]}])
def test_a_prefill_of_a_test_stands_before_the_answer_of_any_column(columns):
    frame = read_tests([write("a.jsonl", [row("x", prefill="A:", **columns)])], "all")
    assert frame["messages"][0].to_list() == row("x", "y")["messages"]
    path = write("a.jsonl", [row("x", prefill="A:", answer=None)])
    assert "a.jsonl:1: no answer: expected" in mistake(read_tests, [path], "all")


def test_several_answers_are_all_right_and_the_first_is_the_gold_one():
    write("q.jsonl", [
        row("x", id="1", answer=["a ", "b", "a"]),
        row("x", id="2", answers=["a", 7]),
        row("x", id="3", answer="a", answers=["b"]),
        row("x", "said", id="4", answer=["a"]),
        row("x", id="5", answers={"text": ["a", "b"], "answer_start": [1, 2]}),
        row("x", "said", id="6", answers=[]),
        row("x", id="7", answer={"text": ["a"]}, answers=["b"]),
    ])  # fmt: skip
    frame = read_tests(["q.jsonl"], "all")
    assert frame.select("answer", "answers").rows() == [
        ("a", ["a", "b"]),
        ("a", ["a", "7"]),
        ("a", ["a", "b"]),
        ("a", None),
        ("a", ["a", "b"]),
        ("said", None),
        ("a", ["a", "b"]),
    ]
    assert [turns[-1]["content"] for turns in frame["messages"]] == [
        "a ",
        "a",
        "a",
        "said",
        "a",
        "said",
        "a",
    ]
    path = write("a.jsonl", [row("x", answers=[])])
    assert "a.jsonl:1: no answer: expected" in mistake(read_tests, [path], "all")


def test_without_files_there_are_no_tests():
    frame = read_tests([], ["sums"])
    tables.check("tests", frame)
    assert frame.is_empty()


def test_queries_that_stand_among_the_tests_are_found_by_their_prompt():
    queries = [
        row("1 + 1?", "2", id="same"),
        row(" 1 + 1? ", "two", id="another answer"),
        row("1 + 2?", "3", id="new"),
        row("2 + 2?", id="no answer"),
        {"id": "no prompt", "messages": [{"role": "assistant", "content": "2"}]},
    ]
    tests = [row("1 + 1?", "2", task="other"), row("2 + 2?", "4")]
    queries = read_queries([write("q.jsonl", queries)], "all")
    frame = read_tests([write("t.jsonl", tests)], "all")
    assert queries_in_tests(queries, frame) == [
        ("q", "same"),
        ("q", "another answer"),
        ("q", "no answer"),
    ]
    assert queries_in_tests(queries, tables.empty("tests")) == []


def test_queries_and_tests_may_be_csv_with_lists_as_json(here):
    (here / "q.csv").write_text('task,id,prompt,response,max_tokens\nsums,1,2 + 2?," 4",9\n')
    assert read_queries(["q.csv"], "all").rows() == [
        ("sums", "1", row("2 + 2?", " 4")["messages"], None, None, None, 9)
    ]
    (here / "t.tsv").write_text(
        "id\tprompt\tanswer\tanswers\tchoices\n"
        '1\t1 + 1?\t\t[2, "two"]\t\n'
        '2\tWhich?\t[b]\t\t"[""[a]"", ""[b]""]"\n'
        "3\tWhich list?\t[1]\t\t\n"
    )
    frame = read_tests(["t.tsv"], "all")
    assert frame.select("id", "answer", "answers", "choices").rows() == [
        ("1", "2", ["2", "two"], None),
        ("2", "[b]", None, ["[a]", "[b]"]),
        ("3", "[1]", None, None),
    ]


def test_whole_numbers_that_pandas_wrote_as_floats_are_ids_and_tasks():
    rows = [row("x", "y", id=3.0, task=1.0, subtask=2.0), row("z", "y", id=math.nan, task=1)]
    frame = read_queries([write("q.jsonl", rows)], "all")
    made = duplicate_key(row("z", "y")["messages"])[:20]
    assert frame.select("task", "id", "subtask").rows() == [("1", "3", "2"), ("1", made, None)]


def test_an_answer_that_pandas_wrote_as_nan_is_none():
    frame = read_tests([write("t.jsonl", [row("x", "y", answer=math.nan)])], "all")
    assert frame["answer"].to_list() == ["y"]


def test_parquet_files_give_every_column_that_json_lines_give(here):
    full = row("2 + 2?", "4", id="t", task="sums", subtask="easy", prefill="So:", format="raw",
               max_tokens=9, answers=["4", "four"], choices=["4", "5"], kind="pass_at_k",
               check="assert 1")  # fmt: skip
    pl.DataFrame([full]).write_parquet(here / "t.parquet")
    path = write("t.jsonl", [full])
    assert read_tests(["t.parquet"], "all").equals(read_tests([path], "all"))
    assert read_queries(["t.parquet"], "all").equals(read_queries([path], "all"))
    assert read_tests([path], "all")["check"].to_list() == ["assert 1"]


def test_clusters_of_tests_are_kept_where_there_are_any():
    rows = [row("x", "y", id="a", cluster="passage 1"), row("z", "y", id="b")]
    frame = read_tests([write("t.jsonl", rows)], "all")
    tables.check("tests", frame)
    assert frame["cluster"].to_list() == ["passage 1", None]
    assert "cluster" not in read_tests([write("u.jsonl", rows[1:])], "all").columns


def test_queries_may_use_tools():
    called = {"id": "a", "task": "t", "messages": list(WEATHER), "tools": TOOLS}
    frame = read_queries([write("a.jsonl", [called, row("x", "y", id="b", task="t")])], "all")
    tables.check("queries", frame)
    assert frame["tool_use"].to_list() == [to_column(WEATHER), None]
    assert examples(frame)[0].tools == TOOLS
    path = write("b.jsonl", [{**called, "prefill": "It"}])
    message = mistake(read_queries, [path], "all")
    assert "prefill, format, max_tokens: expected none of them beside tool use" in message


def test_tests_may_not_use_tools():
    path = write("a.jsonl", [{"messages": list(WEATHER), "tools": TOOLS}])
    message = "a.jsonl:1: tool use: expected a test without tools; their use is not evaluated here"
    assert message in mistake(read_tests, [path], "all")
