"""The pool, worked by hand: which rows are kept, which are dropped, and why."""

import json

import pytest

from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.dedup.pool import PoolCounts
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.steps import write_pool
from dataselect.dedup.truncation import Truncation
from tests.dedup import NONE_CUT_OFF, row, turns, write
from tests.helpers import mistake


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def run(here, *paths, truncation=NONE_CUT_OFF, out="out", **rules):
    """The pool of the files, however many of their rows are dropped: counts, pool, dropped."""
    counts = write_pool(
        list(paths),
        here / out,
        rules=PoolRules(**{"most_dropped": 1, **rules}),
        truncation=truncation,
        progress=no_progress,
    )
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
        ("one again", "sums", "duplicate", "one", "a.jsonl:2"),
        ("question", "a", "no assistant turn", None, "a.jsonl:3"),
        ("nothing", "a", "empty", None, "a.jsonl:4"),
        ("no turns", "a", "empty", None, "a.jsonl:5"),
        ("silence", "talk", "empty response", None, "a.jsonl:6"),
        ("one", "sums", "duplicate", "one", "a.jsonl:7"),
        ("ef73f5e9d568a3277376", "b", "duplicate", "one", "b.jsonl:1"),
    ]
    reasons = {"duplicate": 3, "empty": 2, "empty response": 1, "no assistant turn": 1}
    assert counts == PoolCounts(10, 3, reasons)
    assert list(counts.dropped) == sorted(reasons)


def test_the_first_in_the_order_of_the_files_stays(here):
    write("a.jsonl", [row("x", "y", id="in a")])
    write("b.jsonl", [row("x", "y", id="in b")])
    _, pool, dropped = run(here, "a.jsonl", "b.jsonl")
    assert (pool["id"].to_list(), dropped["detail"].to_list()) == (["in a"], ["in a"])
    _, pool, dropped = run(here, "b.jsonl", "a.jsonl")
    assert (pool["id"].to_list(), dropped["detail"].to_list()) == (["in b"], ["in b"])


def test_a_row_dropped_for_a_reason_is_not_what_others_duplicate(here):
    write("a.jsonl", [row("x", id="1"), row("x", id="2"), row("y", "z", id="3")])
    _, pool, dropped = run(here, "a.jsonl")
    assert pool["id"].to_list() == ["3"]
    assert dropped["reason"].to_list() == ["no assistant turn", "no assistant turn"]


def test_bad_rows_are_dropped_with_their_reason_on_request(here):
    tool = {"id": 0, "dataset": "tools", "messages": turns(("critic", "x"))}
    good = json.dumps(row("x", "y", id="good"))
    (here / "a.jsonl").write_text(f"{good}\n{{'id': 1}}\n{json.dumps(tool)}\n")
    counts, pool, dropped = run(here, "a.jsonl", on_bad_row="drop")
    assert pool["id"].to_list() == ["good"]
    quotes = "not JSON: Expecting property name enclosed in double quotes at column 2"
    assert dropped.rows() == [
        ("a.jsonl:2", "a", "bad row", quotes, "a.jsonl:2"),
        (
            "0",
            "tools",
            "bad row",
            "messages: turn 1: unknown role 'critic'; expected one of "
            "system, developer, user, assistant, tool",
            "a.jsonl:3",
        ),
    ]
    assert counts == PoolCounts(3, 1, {"bad row": 2})


def test_many_blocks_keep_the_order_and_are_numbered_on(here):
    n = 20_000  # more than two blocks
    rows = [row(f"{i % 15_000}?", "y", id=f"r{i}") for i in range(n)]
    counts, pool, dropped = run(here, write("a.jsonl", rows))
    assert counts == PoolCounts(20_000, 15_000, {"duplicate": 5_000})
    assert pool["row"].to_list() == list(range(15_000))
    assert pool["id"].to_list() == [f"r{i}" for i in range(15_000)]
    assert dropped["reason"].unique().to_list() == ["duplicate"]
    assert dropped["detail"].to_list() == [f"r{i}" for i in range(5_000)]
    assert dropped["place"][0] == "a.jsonl:15001"


def test_same_files_same_bytes(here):
    rows = [row(f"{i % 300}?", "y" * i, id=f"r{i}", source=f"s{i % 7}") for i in range(1_000)]
    write("a.jsonl", [*rows, *(row(f"{i % 7}!", "z") for i in range(50))])
    for out in ("one", "two"):
        run(here, "a.jsonl", out=out)
    for name in ("pool.parquet", "dropped.parquet"):
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()
        assert sorted(p.name for p in (here / "one").iterdir()) == [
            "contamination.parquet",
            "dropped.parquet",
            "pool.parquet",
        ]


def test_text_is_kept_as_it_is(here):
    text = "tab\t nul\0 quote' \" €\u2028 🌱 \u200b end \n"
    write("a.jsonl", [row(text, text, id="it's", source="[red]")])
    _, pool, _ = run(here, "a.jsonl")
    assert pool.rows() == [(0, "it's", "[red]", row(text, text)["messages"])]


def test_progress_counts_every_row(here):
    rows = []
    write("a.jsonl", [row("x", "y")] * 10_000)
    write_pool(
        ["a.jsonl"],
        here / "out",
        rules=PoolRules(),
        truncation=NONE_CUT_OFF,
        progress=rows.append,
    )
    assert rows == [8_192, 1_808]


def test_truncated_rows_are_dropped_and_rows_dropped_already_are_not_checked(here):
    seen = []

    def long(rows):
        seen.extend(turns[0]["content"] for turns in rows)
        return [turns[0]["content"] == "long" for turns in rows]

    write("a.jsonl", [row("long", "y", id="l"), row("no answer"), row("x", "y", id="s")])
    counts, pool, dropped = run(here, "a.jsonl", truncation=Truncation(long))
    assert seen == ["long", "x"]
    assert pool["id"].to_list() == ["s"]
    reason = "response entirely cut off by max_tokens"
    assert dropped.rows()[0] == ("l", "a", reason, None, "a.jsonl:1")
    assert counts == PoolCounts(3, 1, {"no assistant turn": 1, reason: 1})


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
        "a.jsonl:2, a.jsonl:4. Expected one id per row. Give each its own, or set `pool.id` in "
        "params.yaml: `prefix` puts the source before each id, `content` makes all ids from the "
        "content."
    )
    assert list((here / "out").iterdir()) == []


def test_many_ids_for_different_rows_are_named_up_to_five(here):
    write("a.jsonl", [row("x", str(i), id=f"r{i % 7}") for i in range(28)])
    message = mistake(run, here, "a.jsonl")
    assert message.startswith("pool.path: 7 ids belong to several different rows: `r0` at ")
    assert "`r0` at a.jsonl:1, a.jsonl:8 and 2 more, `r1` at" in message
    assert "`r4` at a.jsonl:5, a.jsonl:12 and 2 more and 2 more. Expected one id" in message


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        ([], "nothing was read"),
        ([row("x"), row("x"), row(" ", " ")], "1 empty, 2 no assistant turn"),
    ],
)
def test_no_row_left(here, rows, counts):
    assert mistake(run, here, write("a.jsonl", rows)) == (
        f"pool.path: no row is left. Dropped: {counts}. Check the rows of the files."
    )
    assert list((here / "out").iterdir()) == []


BAD_LINES = {
    "{]": "not JSON: Expecting property name enclosed in double quotes at column 2",
    '{"text": "x"}': "no messages: expected a column `messages`, `conversations`, `instruction` "
    "and `output`, or `prompt` and `completion` or `response`; found text",
    '{"messages": [{"role": "critic", "content": "x"}]}': "messages: turn 1: unknown role "
    "'critic'; expected one of system, developer, user, assistant, tool",
    '{"messages": [{"role": "user", "content": null}]}': "messages: turn 1: expected text, found "
    "null",
    '{"id": "\\ud83c", "prompt": "x"}': "id: not valid Unicode: half a surrogate pair, '\\ud83c'",
    '{"prompt": "\\udd1e"}': "prompt: not valid Unicode: half a surrogate pair, '\\udd1e'",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_row_ends_the_run_and_leaves_nothing(here, line):
    (here / "a.jsonl").write_text(json.dumps(row("x", "y")) + f"\n\n{line}\n")
    columns = ", name its columns in `pool.columns`" if "no messages" in BAD_LINES[line] else ""
    assert mistake(run, here, "a.jsonl") == (
        f"a.jsonl:3: {BAD_LINES[line]}. Fix the row{columns}, or set `pool.on_bad_row: drop` in "
        "params.yaml to leave such rows out."
    )
    assert list((here / "out").iterdir()) == []


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_row_of_the_pool_is_dropped_on_request(here, line):
    (here / "a.jsonl").write_text(json.dumps(row("x", "y")) + f"\n\n{line}\n")
    counts, _, dropped = run(here, "a.jsonl", on_bad_row="drop")
    assert dropped.rows() == [("a.jsonl:3", "a", "bad row", BAD_LINES[line], "a.jsonl:3")]
    assert counts == PoolCounts(2, 1, {"bad row": 1})


def test_ids_that_clash_are_made_different_by_their_sources(here):
    rows = [row("x", "1", id=1, source="a"), row("x", "2", id=1, source="b"), row("x", "1", id=2)]
    write("p.jsonl", rows)
    assert "pool.path: 1 ids belong to several different rows: `1` at" in mistake(
        run, here, "p.jsonl"
    )
    _, pool, dropped = run(here, "p.jsonl", id="prefix")
    assert pool["id"].to_list() == ["a/1", "b/1"]
    assert dropped.rows() == [("p/2", "p", "duplicate", "a/1", "p.jsonl:3")]
    write("p.jsonl", [*rows, row("x", "3", id=1, source="a")])
    assert "`a/1` at p.jsonl:1, p.jsonl:4" in mistake(run, here, "p.jsonl", id="prefix")
    _, pool, _ = run(here, "p.jsonl", id="content")
    assert pool["id"].n_unique() == 3


def test_rows_of_a_source_left_out_are_dropped_and_hide_no_other(here):
    write("p.jsonl", [row("x", "y", source="hard_coded", id=1), row("x", "y", source="web", id=2)])
    counts, pool, dropped = run(here, "p.jsonl", sources={"hard_coded": None})
    assert pool["id"].to_list() == ["2"]
    assert dropped.rows() == [("1", "hard_coded", "source left out", None, "p.jsonl:1")]
    assert counts == PoolCounts(2, 1, {"source left out": 1})


def test_a_pool_that_is_for_the_greater_part_unusable_ends_the_run(here):
    rows = [row("x", "y", id="good"), row("x"), row("z"), *[row("x", "y", id="good")] * 4]
    write("p.jsonl", [*rows[:3], row("a", "b", source="out")])
    message = mistake(run, here, "p.jsonl", sources={"out": None}, most_dropped=0.5)
    assert message.startswith(
        "pool.path: 2 of 3 rows (67%) cannot be used; `pool.most_dropped` allows a share of 0.5. "
        "Found 2 no assistant turn. The first rows:\n  p.jsonl:2: no assistant turn\n    {"
    )
    assert list((here / "out").iterdir()) == []
    assert run(here, "p.jsonl", sources={"out": None}, most_dropped=0.67)[0].kept == 1
    # Duplicates are no fault of the rows.
    write("p.jsonl", rows)
    assert run(here, "p.jsonl", most_dropped=0.3)[0].dropped == {
        "duplicate": 4,
        "no assistant turn": 2,
    }


def test_kept_rows_with_an_unusual_order_of_turns_are_counted(here):
    system, user, assistant = ("system", "Be short"), ("user", "x"), ("assistant", "y")
    talks = [
        [user, assistant],
        [assistant],
        [system, assistant, user],
        [user, assistant, user],
        [system, user, assistant, user],
        [system, ("assistant", "")],  # dropped: nothing to learn from
        [assistant, assistant],
        [assistant],  # dropped: a duplicate
    ]
    write("p.jsonl", [{"messages": turns(*talk)} for talk in talks])
    counts, pool, _ = run(here, "p.jsonl")
    assert counts.turns == {"begins with the assistant": 3, "ends with a user turn": 3}
    assert pool.height == 6
    write("p.jsonl", [row("x", "y")])
    assert run(here, "p.jsonl")[0].turns == {}
