"""The dedup stage: its tables, and every test with its kind."""

import shutil
from dataclasses import replace

import pytest

from dataselect.compute import no_progress
from dataselect.data import tables
from dataselect.data.contamination import TaskOverlap
from dataselect.data.fingerprint import matching_files
from dataselect.dedup.run import Deduped, DedupSection, dedup
from dataselect.dedup.settings import DecontaminateSettings, PoolRules
from dataselect.models.settings import TokenizerSettings
from tests.dedup import row, write
from tests.helpers import GOLDEN, ROOT, mistake


@pytest.fixture
def section(in_scratch):
    """A pool of four rows, a query and five tests of three tasks."""
    shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")
    write("pool.jsonl", [row("x", "y"), row("x", "y"), row("z"), row("z", "y", id="kept")])
    write("queries.jsonl", [row("q", "a", task="sums"), row("q", "b", task="chats")])
    choices = {"task": "chats", "choices": ["a", "b"]}
    tests = [
        row("1?", "1", id="t1", task="sums"),
        row("2?", "2", id="t2", task="sums", kind="last_number"),
        row("a?", "a", id="t3", **choices),
        row("b?", "b", id="t4", **choices),
        row("c?", "c", id="t5", task="words"),
    ]
    write("tests.jsonl", tests)
    return DedupSection(
        pool=matching_files("pool.jsonl", "pool.path"),
        rules=PoolRules(),
        queries=matching_files("queries.jsonl", "queries.path"),
        tests=matching_files("tests.jsonl", "tests.path"),
        tasks="all",
        query_tasks=["sums"],
        kinds={"words": "last_number"},
        model=TokenizerSettings(name=str(GOLDEN / "tiny-llama")),
        code="",
    )


def planned(section):
    """The section as a plan makes it of the files as they are now."""
    for side in ("pool", "queries", "tests"):
        paths = [file.path for file in getattr(section, side)]
        section = replace(section, **{side: matching_files(paths, f"{side}.path")})
    return section


def test_the_tables_and_what_became_of_the_rows(section, in_scratch):
    rows = []
    done = dedup(section, in_scratch / "out", rows.append)
    assert done == Deduped(
        read=4,
        kept=2,
        dropped={"duplicate": 1, "no assistant turn": 1},
        tasks=[("sums", 1, 2), ("chats", 0, 2), ("words", 0, 1), ("all", 1, 5)],
        queries_in_tests=[],
        turns={},
        near_duplicates=None,
        statistics=done.statistics,
        overlaps=[],
    )
    assert (done.statistics.rows, done.statistics.turns) == (2, {2: 2})
    assert sum(rows) == 4
    heights = {}
    for name in ("pool", "queries", "tests", "dropped", "contamination"):
        heights[name] = tables.read(name, in_scratch / f"out/{name}.parquet").height
    assert heights == {
        "pool": 2,
        "queries": 1,
        "tests": 5,
        "dropped": 2,
        "contamination": 0,
    }


def test_without_tests_the_rest_is_the_same(section, in_scratch):
    untested = replace(section, tests=[], kinds={})
    done = dedup(untested, in_scratch / "out", no_progress)
    assert (done.kept, done.tasks, done.queries_in_tests) == (
        2,
        [("sums", 1, 0), ("all", 1, 0)],
        [],
    )
    assert tables.read("tests", in_scratch / "out/tests.parquet").is_empty()
    message = mistake(dedup, replace(untested, kinds={"sums": "last_number"}), in_scratch, len)
    assert message == (
        "eval.kinds: `sums` has no tests: none are given. Add `tests: {path: …}`, or remove "
        "`eval.kinds`."
    )


def test_every_test_has_a_kind_set_named_or_guessed(section, in_scratch):
    dedup(section, in_scratch / "out", no_progress)
    tests = tables.read("tests", in_scratch / "out/tests.parquet")
    assert tests.select("id", "kind").rows() == [
        ("t1", "last_number"),  # another test of the task names it
        ("t2", "last_number"),
        ("t3", "multiple_choice"),
        ("t4", "multiple_choice"),
        ("t5", "last_number"),
    ]


def test_a_row_whose_response_is_cut_off_is_kept_on_request(section, in_scratch):
    write("pool.jsonl", [row("a " * 50, "y", id="long"), row("a", "y", id="short")])
    tiny = replace(planned(section), model=replace(section.model, max_tokens=30))
    assert dedup(tiny, in_scratch / "out", no_progress).dropped == {
        "response entirely cut off by max_tokens": 1
    }
    done = dedup(replace(tiny, rules=PoolRules(cut_off="keep")), in_scratch / "out", no_progress)
    assert (done.kept, done.dropped) == (2, {})


def test_a_wrong_kind_is_refused_before_the_pool_is_read(section, in_scratch):
    wrong = replace(section, kinds={"sumz": "last_number"})
    message = mistake(dedup, wrong, in_scratch / "out", no_progress)
    assert message.startswith("eval.kinds: `sumz` has no tests. Did you mean `sums`?")
    assert not (in_scratch / "out").exists()


def test_files_are_found_from_an_experiments_own_folder(section, in_scratch, monkeypatch):
    (in_scratch / ".dvc/tmp/exps/one/.dvc").mkdir(parents=True)
    shutil.copytree("eval_kinds", ".dvc/tmp/exps/one/eval_kinds")
    monkeypatch.chdir(in_scratch / ".dvc/tmp/exps/one")
    assert dedup(section, in_scratch / "out", no_progress).kept == 2


def test_a_merged_pool_under_its_own_names(section, in_scratch):
    (in_scratch / "pool.csv").write_text(
        "question,answer,key,origin\n"
        "1?,1,1.0,science.a\n"
        "2?,2,1,science.b\n"
        "3?,3,2,hard_coded\n"
        "4?,,3,science.b\n"
    )
    merged = replace(
        section,
        pool=matching_files("pool.csv", "pool.path"),
        rules=PoolRules(
            id="prefix",
            sources={"science*": "science", "hard_coded": None},
            columns={"prompt": "question", "response": "answer", "id": "key", "source": "origin"},
        ),
    )
    done = dedup(merged, in_scratch / "out", no_progress)
    assert (done.kept, done.dropped, done.turns) == (
        2,
        {"no assistant turn": 1, "source left out": 1},
        {},
    )
    pool = tables.read("pool", in_scratch / "out/pool.parquet")
    assert pool.select("id", "source").rows() == [
        ("science.a/1.0", "science"),
        ("science.b/1", "science"),
    ]


def test_conversations_that_end_with_a_user_turn_are_kept_and_counted(section, in_scratch):
    talk = row("x", "y")["messages"]
    write("pool.jsonl", [{"messages": [*talk, talk[0]]}, {"messages": talk[1:]}, row("x", "y")])
    done = dedup(planned(section), in_scratch / "out", no_progress)
    assert (done.kept, done.turns) == (
        3,
        {"begins with the assistant": 1, "ends with a user turn": 1},
    )


def test_rows_that_overlap_tests_are_counted_or_dropped_by_task(section, in_scratch):
    rows = [row("Say: 1?", "y", id="a"), row("z", "y", id="b"), row("1? 2? C?", "y", id="c")]
    write("pool.jsonl", rows)
    section = planned(section)
    off = dedup(section, in_scratch / "off", no_progress)
    reported = replace(section, decontaminate=DecontaminateSettings())
    done = dedup(reported, in_scratch / "out", no_progress)
    counts = [TaskOverlap("sums", 2, 2, 2), TaskOverlap("chats", 2, 0, 0)]
    assert (off.overlaps, done.overlaps) == ([], [*counts, TaskOverlap("words", 1, 1, 1)])
    for name in ("pool", "dropped", "queries", "tests"):
        same = [(in_scratch / folder / f"{name}.parquet").read_bytes() for folder in ("off", "out")]
        assert same[0] == same[1]
    dropped = replace(section, decontaminate=DecontaminateSettings(action="drop"))
    done = dedup(dropped, in_scratch / "dropped", no_progress)
    assert (done.kept, done.dropped) == (1, {"overlaps a test": 2})
    assert done.overlaps == [
        TaskOverlap("sums", 2, 0, 0, rows_left_out=2),
        TaskOverlap("chats", 2, 0, 0),
        TaskOverlap("words", 1, 0, 0, rows_left_out=1),
    ]


def test_queries_that_overlap_a_test_are_found_too(section, in_scratch):
    write("queries.jsonl", [row("Sum: 2?", "a", id="q", task="sums"), row("1", "a", task="sums")])
    section = planned(section)
    assert dedup(section, in_scratch / "out", no_progress).queries_in_tests == []
    looked_for = replace(section, decontaminate=DecontaminateSettings())
    done = dedup(looked_for, in_scratch / "out", no_progress)
    made = tables.read("queries", in_scratch / "out/queries.parquet")["id"][1]
    assert done.queries_in_tests == [("sums", "q"), ("sums", made)]


@pytest.mark.parametrize("side", ["pool", "queries", "tests"])
def test_a_file_that_changes_between_plan_and_stage_is_a_mistake(section, in_scratch, side):
    rows = [row("x", "y", task="sums"), row("w", "y", task="chats"), row("v", "y", task="words")]
    write(f"{side}.jsonl", rows)
    message = mistake(dedup, section, in_scratch / "out", no_progress)
    assert message.startswith(f"`{side}.jsonl` has changed since the run was planned")
