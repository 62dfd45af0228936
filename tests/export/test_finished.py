"""A finished run as it is read: its files belong together, and show no machine."""

import json
import subprocess
from pathlib import Path

import polars as pl
import pytest
import yaml

from dataselect.data import tables
from dataselect.export.finished import cleaned, read_run, shown, shown_path
from tests.export import CHOSEN, write_lock
from tests.helpers import complete, mistake


def test_a_run_has_its_rows_with_messages_and_groups(finished):
    run = read_run(finished)
    selection = pl.read_parquet(finished / "out/selection.parquet")
    assert run.rows.select(selection.columns).equals(selection)
    assert run.rows["group_name"].null_count() == run.rows["messages"].null_count() == 0
    assert run.in_pool == {"books": 4, "a|b\nc": 4}
    assert (run.lines, run.tests) == (CHOSEN, {"sums": 1})
    assert run.training.recipe.learning_rate == 2e-5
    assert not run.has_tools


def test_scores_are_not_needed(finished):
    (finished / "out/scores.parquet").unlink()
    assert read_run(finished).rows.height == CHOSEN


def test_a_folder_without_a_run_says_what_is_missing(in_scratch):
    message = mistake(read_run, in_scratch)
    assert message.startswith(f"no finished run in {in_scratch}: plan.json, out/pool.parquet, ")
    assert "Run `dvc repro aggregate`" in message


def test_an_empty_selection_is_refused(finished):
    tables.write("selection", tables.empty("selection"), finished / "out/selection.parquet")
    assert mistake(read_run, finished) == (
        "out/selection.parquet: no row was chosen, so there is none to export."
    )


def test_a_pool_without_messages_or_of_another_run_is_refused(finished):
    pool = pl.read_parquet(finished / "out/pool.parquet")
    other = pool.with_columns(id=pl.col("id") + "x")
    tables.write("pool", other, finished / "out/pool.parquet")
    assert f"{CHOSEN} of its rows are not in out/pool.parquet" in mistake(read_run, finished)
    pool.drop("messages").write_parquet(finished / "out/pool.parquet")
    assert "no column `messages`" in mistake(read_run, finished)


def test_what_dvc_lists_must_be_what_lies_there(finished):
    write_lock(finished)
    hashes = read_run(finished).hashes
    assert hashes["out/features"] == "0123.dir"
    assert set(hashes) > {"out/pool.parquet", "out/selection.parquet", "out/train.jsonl"}
    lock = yaml.safe_load((finished / "dvc.lock").read_text())
    lock["stages"]["aggregate"]["outs"][0]["md5"] = "0" * 32
    (finished / "dvc.lock").write_text(yaml.safe_dump(lock))
    assert mistake(read_run, finished).startswith("out/selection.parquet: not the file that dvc")


def test_settings_of_another_run_are_refused(finished):
    write_lock(finished)
    plan = json.loads((finished / "plan.json").read_text())
    plan["aggregate"]["budget"] = 2
    (finished / "plan.json").write_text(json.dumps(plan))
    assert mistake(read_run, finished).startswith("plan.json: its settings of `aggregate` are")


def test_the_commit_is_known_in_a_repository_only(finished):
    def git(*words):
        name = ("-c", "user.name=test", "-c", "user.email=test@dataselect.invalid")
        subprocess.run(["git", *name, *words], cwd=finished, check=True, capture_output=True)

    assert read_run(finished).commit is None
    git("init", "--quiet")
    git("add", "params.yaml")
    git("commit", "--quiet", "--message", "a run")
    commit, changed = read_run(finished).commit
    assert (len(commit), changed) == (40, False)
    (finished / "params.yaml").write_text("method: rds\n")
    assert read_run(finished).commit == (commit, True)


def test_chosen_rows_that_overlap_tests_are_counted(finished):
    pairs = pl.DataFrame({"row": [0], "id": ["r0"], "task": ["sums"], "test": ["q"]})
    path = finished / "out/selected_contamination.parquet"
    tables.write("selected_contamination", complete("selected_contamination", pairs), path)
    (overlap,) = read_run(finished).overlaps
    assert (overlap.task, overlap.overlapping_tests, overlap.contaminated) == ("sums", 1, True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/a.parquet", "data/a.parquet"),
        ("org/model", "org/model"),
        ("/home/me/models/llama", "llama"),
        ("~/pool.jsonl", "pool.jsonl"),
        ("../other/pool.jsonl", "pool.jsonl"),
    ],
)
def test_a_path_shows_no_folder_of_the_machine(path, expected):
    assert shown_path(path) == expected
    assert shown({"code": "x", "a": [{"name": path}]}) == {"a": [{"name": expected}]}


def test_a_text_shows_no_secret_and_no_folder():
    token = "hf_" + "a" * 20
    text = f"{token} of /home/me/project/pool.jsonl, /home/me"
    folders = [Path("/home/me/project"), Path("/home/me"), Path("/")]
    assert cleaned(text, folders) == "… of pool.jsonl, me"
