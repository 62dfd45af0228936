"""The files that a user names for a new project."""

import json
from pathlib import Path

import polars as pl

from dataselect.project.inputs import check_inputs, in_project
from tests.helpers import mistake
from tests.project.conftest import given


def test_what_was_found_is_listed(user):
    found = dict(check_inputs(given(pool=["p*.jsonl", "pool.jsonl"])))
    assert found["pool"] == "1 file: pool.jsonl"
    assert found["queries"] == "1 of 1 tasks: sums"


def test_a_path_that_is_not_there_is_named_with_its_option(user):
    assert "--pool: `none.jsonl`: there is no such file" in mistake(
        check_inputs, given(pool=["none.jsonl"])
    )
    assert "--tests: `x*`: no file matches" in mistake(check_inputs, given(tests=["x*"]))
    (user / "data").mkdir()
    message = mistake(check_inputs, given(queries=["data/"]))
    assert "--queries: `data/`: a folder; expected a file or a glob, like 'data/*.jsonl'" in message


def test_an_unknown_kind_of_file_is_refused(user):
    Path("pool.txt").write_text("rows\n")
    message = mistake(check_inputs, given(pool=["pool.txt"]))
    assert "pool.txt: unknown kind of file. Expected .parquet, .jsonl" in message


def test_a_wrong_format_says_what_was_seen(user):
    pl.DataFrame({"question": ["1 + 1?"], "reply": ["2"]}).write_parquet("pool.parquet")
    message = mistake(check_inputs, given(pool=["pool.parquet"]))
    assert "pool.parquet:1: no messages: expected a column `messages`" in message
    assert "found question, reply" in message
    assert "pool.columns" in message
    Path("pool.parquet").rename("renamed.jsonl")
    message = mistake(check_inputs, given(pool=["renamed.jsonl"]))
    assert "renamed.jsonl:1: not UTF-8" in message or "renamed.jsonl:1: not JSON" in message
    Path("empty.jsonl").touch()
    assert "no row in empty.jsonl" in mistake(check_inputs, given(pool=["empty.jsonl"]))


def test_a_pool_may_begin_with_bad_rows(user):
    rows = [{"note": 1}, {"prompt": "1 + 1?", "completion": "2"}]
    Path("pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert check_inputs(given())[0] == ("pool", "1 file: pool.jsonl")


def test_a_bad_test_is_named_with_its_line(user):
    Path("tests.jsonl").write_text('{"task": "sums"}\n')
    assert "tests.jsonl:1: no messages" in mistake(check_inputs, given())


def test_paths_inside_the_project_are_relative_and_others_absolute(user, monkeypatch):
    project = user / "project"
    (project / "data").mkdir(parents=True)
    assert in_project("project/data/*.jsonl", project) == "data/*.jsonl"
    assert in_project("pool.jsonl", project) == str(user / "pool.jsonl")
    monkeypatch.chdir(project)
    assert in_project("../pool.jsonl", project) == str(user / "pool.jsonl")
    assert in_project("../**/pool.jsonl", project) == str(user / "**/pool.jsonl")
    (user / "link").symlink_to(project)
    monkeypatch.chdir(user)
    assert in_project("link/data/a.jsonl", project) == "data/a.jsonl"
