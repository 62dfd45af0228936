"""The pool, the queries and the tests, worked by hand: what stays, what goes, and why."""

import json
from pathlib import Path

import polars as pl
import pytest

from dataselect.data import tables
from dataselect.dedup.conversations import duplicate_key, reason_to_drop
from dataselect.dedup.pool import write_pool
from dataselect.dedup.tasks import read_queries, read_tests
from dataselect.dedup.truncation import find_truncated
from dataselect.errors import InputError
from tests.helpers import GOLDEN

MODEL = {
    "name": str(GOLDEN / "tiny-llama"),
    "revision": None,
    "chat": "tulu",
    "max_tokens": 2048,
    "trust_remote_code": False,
}


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def write(name, rows):
    """A file of JSON lines in the working directory."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    Path(name).write_text("".join(lines), encoding="utf-8")
    return name


def row(user, assistant=None, **columns):
    """A row of one turn a side; without an assistant, of the question alone."""
    turns = [{"role": "user", "content": user}]
    if assistant is not None:
        turns.append({"role": "assistant", "content": assistant})
    return {**columns, "messages": turns}


def none_cut_off(rows):
    return [False] * len(rows)


def run(here, *files, on_bad_row="error", cut_off=none_cut_off, out="out"):
    """The pool of the files: counts, pool, dropped."""
    counts = write_pool(list(files), here / out, on_bad_row=on_bad_row, cut_off=find_truncated)
    read = [tables.read(name, here / out / f"{name}.parquet") for name in ("pool", "dropped")]
    return counts, *read


def test_by_hand(here):
    write(
        "a.jsonl",
        [
            row("1 + 1?", "2", id="one", source="sums"),
            row(" 1 + 1?\n", "\t2 ", id="one again", source="sums"),
            row("Who?", id="question"),
            row(" \n", "", id="nothing"),
            {"id": "no turns", "messages": []},
            row("Why?", " \n ", id="silence", dataset="talk"),
            row("1 + 1?", "2", id="one", source="sums"),
            row("1 + 2?", "3"),
        ],
    )
    write("b.jsonl", [{"instruction": "1 + 1?", "output": "2"}, row("1 + 1?", "2.", id=7)])
    counts, pool, dropped = run(here, "a.jsonl", "b.jsonl")
    made = "95a0cff51fa2969a937d"  # of the MD5 of `user: 1 + 2?\nassistant: 3`
    assert pool.drop("messages").rows() == [
        (0, "one", "sums"),
        (1, made, "a"),
        (2, "7", "b"),
    ]
    assert pool["messages"].to_list() == [
        row("1 + 1?", "2")["messages"],
        row("1 + 2?", "3")["messages"],
        row("1 + 1?", "2.")["messages"],
    ]
    assert dropped.rows() == [
        ("one again", "sums", "duplicate of one", "a.jsonl:2"),
        ("question", "a", "no assistant turn", "a.jsonl:3"),
        ("nothing", "a", "empty", "a.jsonl:4"),
        ("no turns", "a", "empty", "a.jsonl:5"),
        ("silence", "talk", "empty response", "a.jsonl:6"),
        ("one", "sums", "duplicate of one", "a.jsonl:7"),
        ("ef73f5e9d568a3277376", "b", "duplicate of one", "b.jsonl:1"),
    ]
    assert counts == {
        "read": 10,
        "kept": 3,
        "duplicate": 3,
        "empty": 2,
        "empty response": 1,
        "no assistant turn": 1,
    }


def turns(*pairs):
    return [{"role": role, "content": content} for role, content in pairs]


ASKED = ("user", "x")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([ASKED, ("assistant", "y")], [("user", " x\n"), ("assistant", "\ty")], True),
        ([ASKED, ("assistant", "y")], [ASKED, ("assistant", "Y")], False),
        ([ASKED, ("assistant", "y")], [ASKED, ("user", "y")], False),
        ([ASKED, ("assistant", "y z")], [ASKED, ("assistant", "y  z")], False),
        ([ASKED, ("assistant", "y")], [("system", ""), ASKED, ("assistant", "y")], False),
        ([("user", "x\nassistant: y")], [ASKED, ("assistant", "y")], True),  # so the reference
    ],
)
def test_the_key_is_every_role_and_stripped_content(one, other, same):
    assert (duplicate_key(turns(*one)) == duplicate_key(turns(*other))) is same


def test_the_key_is_the_md5_of_the_lines():
    # printf 'user: 1 + 2?\nassistant: 3' | md5sum
    expected = "95a0cff51fa2969a937de47b3253850e"
    assert duplicate_key(turns(("user", "1 + 2? "), ("assistant", "3"))) == expected


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([], "empty"),
        ([("user", ""), ("assistant", " ")], "empty"),
        ([("system", "Be short."), ASKED], "no assistant turn"),
        ([ASKED, ("assistant", "\n")], "empty response"),
        ([ASKED, ("assistant", ""), ASKED, ("assistant", "y")], None),
        ([("assistant", "y")], None),
        ([ASKED, ("assistant", "y"), ASKED], None),
    ],
)
def test_what_cannot_teach_is_dropped(pairs, reason):
    assert reason_to_drop(turns(*pairs)) == reason


def test_the_first_in_the_order_of_the_files_stays(here):
    write("a.jsonl", [row("x", "y", id="in a")])
    write("b.jsonl", [row("x", "y", id="in b")])
    _, pool, dropped = run(here, "a.jsonl", "b.jsonl")
    assert (pool["id"].to_list(), dropped["reason"].to_list()) == (["in a"], ["duplicate of in a"])
    _, pool, dropped = run(here, "b.jsonl", "a.jsonl")
    assert (pool["id"].to_list(), dropped["reason"].to_list()) == (["in b"], ["duplicate of in b"])


def test_a_row_dropped_for_a_reason_is_not_what_others_duplicate(here):
    write("a.jsonl", [row("x", id="1"), row("x", id="2"), row("y", "z", id="3")])
    _, pool, dropped = run(here, "a.jsonl")
    assert pool["id"].to_list() == ["3"]
    assert dropped["reason"].to_list() == ["no assistant turn", "no assistant turn"]


def test_bad_rows_are_dropped_with_their_reason_if_so_wanted(here):
    tool = {"id": 0, "dataset": "tools", "messages": turns(("tool", "x"))}
    good = json.dumps(row("x", "y", id="good"))
    (here / "a.jsonl").write_text(f"{good}\n{{'id': 1}}\n{json.dumps(tool)}\n")
    counts, pool, dropped = run(here, "a.jsonl", on_bad_row="drop")
    assert pool["id"].to_list() == ["good"]
    quotes = "not JSON: Expecting property name enclosed in double quotes at column 2"
    assert dropped.rows() == [
        ("a.jsonl:2", "a", f"bad row: {quotes}", "a.jsonl:2"),
        (
            "0",
            "tools",
            "bad row: messages: turn 1: unknown role 'tool'; expected one of system, user, "
            "assistant",
            "a.jsonl:3",
        ),
    ]
    assert counts == {"read": 3, "kept": 1, "bad row": 2}


def test_many_blocks_keep_the_order_and_count_on(here):
    n = 20_000  # more than two blocks of reading
    rows = [row(f"{i % 15_000}?", "y", id=f"r{i}") for i in range(n)]
    counts, pool, dropped = run(here, write("a.jsonl", rows))
    assert counts == {"read": 20_000, "kept": 15_000, "duplicate": 5_000}
    assert pool["row"].to_list() == list(range(15_000))
    assert pool["id"].to_list() == [f"r{i}" for i in range(15_000)]
    assert dropped["reason"].to_list() == [f"duplicate of r{i}" for i in range(5_000)]
    assert dropped["place"][0] == "a.jsonl:15001"


def test_same_files_same_bytes(here):
    rows = [row(f"{i % 300}?", "y" * i, id=f"r{i}", source=f"s{i % 7}") for i in range(1_000)]
    write("a.jsonl", [*rows, *(row(f"{i % 7}!", "z") for i in range(50))])
    for out in ("one", "two"):
        run(here, "a.jsonl", out=out)
    for name in ("pool.parquet", "dropped.parquet"):
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()
        assert sorted(p.name for p in (here / "one").iterdir()) == [
            "dropped.parquet",
            "pool.parquet",
        ]


def test_text_is_kept_as_it_is(here):
    said = "tab\t nul\0 quote' \" €\u2028 🌱 \u200b end \n"
    write("a.jsonl", [row(said, said, id="it's", source="[red]")])
    _, pool, _ = run(here, "a.jsonl")
    assert pool.rows() == [(0, "it's", "[red]", row(said, said)["messages"])]


def test_advance_is_told_of_every_row(here):
    told = []
    write("a.jsonl", [row("x", "y")] * 10_000)
    write_pool(
        ["a.jsonl"], here / "out", on_bad_row="error", cut_off=none_cut_off, advance=told.append
    )
    assert told == [8_192, 1_808]


# Cut off by max_tokens. For the golden tokenizer `<|user|>\n` is 7 tokens, `<|assistant|>\n` is 8,
# and every ` a` is one; so n words make a prompt of 7 + n + 1 + 8 tokens.


def words(n):
    return " ".join("a" * n)


def checked(rows, **model):
    return find_truncated({**MODEL, **model})(rows)


@pytest.mark.parametrize(
    ("conversation", "least"),
    [
        ([("user", words(100)), ("assistant", "a")], 117),
        ([("user", f"\n{words(100)}  "), ("assistant", "a")], 117),
        ([("user", words(100)), ("assistant", words(50))], 117),
        ([("user", words(50)), ("assistant", "a"), ("user", words(90)), ("assistant", "a")], 67),
        ([("assistant", "a"), ("user", words(100)), ("assistant", "a")], 9),
    ],
)
def test_a_row_is_cut_off_where_no_token_of_a_response_fits(conversation, least):
    rows = [turns(*conversation)]
    assert checked(rows, max_tokens=least) == [False]
    assert checked(rows, max_tokens=least - 1) == [True]


def test_the_golden_rows_without_a_response_token_are_those_cut_off():
    pool = pl.read_parquet(GOLDEN / "pool.parquet")
    losses = pl.read_parquet(GOLDEN / "losses.parquet")
    golden = set(losses.filter(pl.col("n_response_tokens") == 0)["id"])
    assert golden
    assert set(pool["id"].filter(pl.Series(checked(pool["messages"].to_list())))) == golden


@pytest.mark.parametrize("max_tokens", [2, 17, 120, 500])
def test_only_looking_at_long_rows_changes_nothing(max_tokens):
    from dataselect.models.chat import Chat
    from dataselect.models.load import load_tokenizer

    pool = pl.read_parquet(GOLDEN / "pool.parquet")["messages"].to_list()
    encoded = Chat(load_tokenizer(MODEL), "tulu", max_tokens).encode(pool)
    expected = [not row.response[1:].any() for row in encoded]
    assert checked(pool, max_tokens=max_tokens) == expected


def test_no_tokenizer_is_loaded_where_no_row_is_long(here):
    model = {"name": str(here / "nowhere"), "max_tokens": 400}
    fits = turns(("user", "a" * 271), ("assistant", "a" * 9_999))  # 271 + 2 headers of 64 < 400
    assert checked([fits] * 3, **model) == [False] * 3
    with pytest.raises(InputError, match=r"nowhere.* cannot be loaded"):
        checked([fits, turns(("user", "a" * 272), ("assistant", "a"))], **model)


def test_with_a_template_of_its_own_every_row_is_tokenised():
    with pytest.raises(InputError, match="has no chat template"):
        checked([turns(ASKED, ("assistant", "y"))], chat="model")


def test_rows_cut_off_are_dropped_and_nothing_is_asked_of_the_others(here):
    seen = []

    def cut(rows):
        seen.extend(turns[0]["content"] for turns in rows)
        return [turns[0]["content"] == "long" for turns in rows]

    write("a.jsonl", [row("long", "y", id="l"), row("no answer"), row("x", "y", id="s")])
    counts, pool, dropped = run(here, "a.jsonl", cut_off=cut)
    assert seen == ["long", "x"]
    assert pool["id"].to_list() == ["s"]
    reason = "response entirely cut off by max_tokens"
    assert dropped.rows()[0] == ("l", "a", reason, "a.jsonl:1")
    assert counts == {"read": 3, "kept": 1, "no assistant turn": 1, reason: 1}


# Mistakes. What the user did, and the whole message.


def mistake(call, *args, **kwargs):
    with pytest.raises(InputError) as error:
        call(*args, **kwargs)
    return str(error.value)


def test_one_id_for_different_rows(here):
    rows = [
        row("x", "1", id="a"),
        row("x", "2", id=5),
        row("x", "3", id="a"),
        row("x", "4", id="5"),
    ]
    write("a.jsonl", rows)
    assert mistake(run, here, "a.jsonl") == (
        "pool.path: 2 ids belong to several different rows: `a` at a.jsonl:1, a.jsonl:3, `5` at "
        "a.jsonl:2, a.jsonl:4. Expected one id a row. Give each its own, or leave `id` out: it is "
        "then made from the content."
    )
    assert list((here / "out").iterdir()) == []


def test_many_ids_for_different_rows_are_named_up_to_five(here):
    write("a.jsonl", [row("x", str(i), id=f"r{i % 7}") for i in range(28)])
    message = mistake(run, here, "a.jsonl")
    assert message.startswith("pool.path: 7 ids belong to several different rows: `r0` at ")
    assert "`r0` at a.jsonl:1, a.jsonl:8 and 2 more, `r1` at" in message
    assert "`r4` at a.jsonl:5, a.jsonl:12 and 2 more and 2 more. Expected one id" in message


@pytest.mark.parametrize(
    ("rows", "tally"),
    [
        ([], "nothing was read"),
        ([row("x"), row("x"), row(" ", " ")], "1 empty, 2 no assistant turn"),
    ],
)
def test_no_row_left(here, rows, tally):
    assert mistake(run, here, write("a.jsonl", rows)) == (
        f"pool.path: no row is left. Dropped: {tally}. Look at the rows of the files."
    )
    assert list((here / "out").iterdir()) == []


BAD_LINES = {
    "{]": "not JSON: Expecting property name enclosed in double quotes at column 2",
    '{"text": "x"}': "no messages: expected a column `messages`, `conversations`, `instruction` "
    "and `output`, or `prompt` and `completion`; found text",
    '{"messages": [{"role": "tool", "content": "x"}]}': "messages: turn 1: unknown role 'tool'; "
    "expected one of system, user, assistant",
    '{"messages": [{"role": "user", "content": null}]}': "messages: turn 1: expected text, found "
    "null",
    '{"id": "\\ud83c", "prompt": "x"}': "id: not valid Unicode: half a surrogate pair, '\\ud83c'",
    '{"prompt": "\\udd1e"}': "prompt: not valid Unicode: half a surrogate pair, '\\udd1e'",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_row_ends_the_run_and_leaves_nothing(here, line):
    (here / "a.jsonl").write_text(json.dumps(row("x", "y")) + f"\n\n{line}\n")
    assert mistake(run, here, "a.jsonl") == (
        f"a.jsonl:3: {BAD_LINES[line]}. Mend the row, or set `pool.on_bad_row: drop` in "
        "params.yaml to leave such rows out."
    )
    assert list((here / "out").iterdir()) == []


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_row_of_the_pool_is_dropped_if_so_wanted(here, line):
    (here / "a.jsonl").write_text(json.dumps(row("x", "y")) + f"\n\n{line}\n")
    counts, _, dropped = run(here, "a.jsonl", on_bad_row="drop")
    assert dropped.rows() == [("a.jsonl:3", "a", f"bad row: {BAD_LINES[line]}", "a.jsonl:3")]
    assert counts == {"read": 2, "kept": 1, "bad row": 1}


def test_queries_keep_their_order_and_are_named_after_their_file(here):
    write("river.jsonl", [row("a", id="q1", task="town"), row("b", "c")])
    write("road.jsonl", [row("d", id=1), {"prompt": "e", "task": 7, "id": "q1"}])
    frame = read_queries(["road.jsonl", "river.jsonl"], "all")
    tables.check("queries", frame)
    assert frame.rows() == [
        ("road", "1", row("d")["messages"], None),
        ("7", "q1", row("e")["messages"], None),
        ("town", "q1", row("a")["messages"], None),
        ("river", duplicate_key(row("b", "c")["messages"])[:20], row("b", "c")["messages"], None),
    ]
    some = read_queries(["road.jsonl", "river.jsonl"], ["town", "road"])
    assert some["task"].to_list() == ["road", "town"]


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
    assert frame.rows() == [
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
        "`instruction` and `output`, or `prompt` and `completion`; found question. Mend the row.",
    ),
    "an empty query": (
        read_queries,
        [row(" ")],
        "all",
        "queries.path: a.jsonl:1: empty: expected at least one message with text. Mend the row.",
    ),
    "a query that is no object": (
        read_queries,
        [5],
        "all",
        "queries.path: a.jsonl:1: expected an object with messages, found a number. Mend the row.",
    ),
    "ids of queries twice": (
        read_queries,
        [row("x", id=1), row("y", id=2), row("z", id="1"), row("q"), row("q "), row("z", id=9)],
        "all",
        "queries.path: 2 ids stand twice within a task: `1` of a at a.jsonl:1, a.jsonl:3, "
        "`d05bc21d2d020552d20e` of a at a.jsonl:4, a.jsonl:5. Expected one id a row; a row without "
        "one gets it from its content. Mend the ids, or leave out equal rows.",
    ),
    "ids of tests twice": (
        read_tests,
        [row("x", "y", id=1), row("z", "y", id=1)],
        "all",
        "tests.path: 1 ids stand twice within a task: `1` of a at a.jsonl:1, a.jsonl:2. Expected "
        "one id a row; a row without one gets it from its content. Mend the ids, or leave out "
        "equal rows.",
    ),
    "a test without an answer": (
        read_tests,
        [row("x", "y"), row("z")],
        "all",
        "tests.path: a.jsonl:2: no answer: expected a last assistant turn or a column `answer`. "
        "Mend the row.",
    ),
    "choices that are no list": (
        read_tests,
        [row("x", "y", choices={"text": ["y"]})],
        "all",
        "tests.path: a.jsonl:1: choices: expected a list, found an object. Mend the row.",
    ),
    "a choice that is null": (
        read_tests,
        [row("x", "y", choices=["y", None])],
        "all",
        "tests.path: a.jsonl:1: choices: expected text, found null. Mend the row.",
    ),
    "a task without queries": (
        read_queries,
        [row("x", task="gsm8k"), row("x", task="bbh")],
        ["bbh", "gsm8"],
        "tasks: `gsm8` has no queries. Did you mean `gsm8k`? There are: gsm8k, bbh. "
        "Queries from outside the tasks are all taken with `queries: {path: …, tasks: all}`.",
    ),
    "no tests of the tasks": (
        read_tests,
        [row("x", "y", task="gsm8k"), row("x", "y", task="bbh")],
        ["squad", "mmlu"],
        "tests.path: no test of squad, mmlu; there are tests of gsm8k, bbh. Add tests, or mend "
        "`tasks`.",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_queries_and_tests(name):
    read, rows, tasks, message = MISTAKES[name]
    assert mistake(read, [write("a.jsonl", rows)], tasks) == message
