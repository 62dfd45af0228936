"""Fetching a data set, from local folders in the form of a hub's."""

import json
import re

import polars as pl
import pytest
import yaml
from remote.fetch import fetch

from dataselect.errors import InputError
from tests.helpers import change, copy_project, run

ROWS = [{"messages": [{"role": "user", "content": str(i)}], "source": "s"} for i in range(25)]


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    pl.DataFrame(ROWS[:10]).write_parquet(folder / "data/train-00000-of-00002.parquet")
    pl.DataFrame(ROWS[10:]).write_parquet(folder / "data/train-00001-of-00002.parquet")
    return folder


def test_a_folder_in_the_form_of_a_hub_becomes_one_file(dataset, tmp_path):
    out = tmp_path / "pool.parquet"
    assert fetch(out, name=str(dataset)) == 25
    assert pl.read_parquet(out).to_dicts() == ROWS


def test_files_by_a_builder(tmp_path, dataset):
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    out = tmp_path / "pool.parquet"
    assert fetch(out, name="json", data_files=str(lines)) == 25
    assert pl.read_parquet(out)["source"].to_list() == ["s"] * 25


def test_a_data_set_that_does_not_exist_leaves_no_file(dataset, tmp_path):
    out = tmp_path / "pool.parquet"
    with pytest.raises(InputError, match="split validation"):
        fetch(out, name=str(dataset), split="validation")
    with pytest.raises(InputError, match="no-such-folder"):
        fetch(out, name=str(tmp_path / "no-such-folder"))
    assert not out.exists()
    assert not list(tmp_path.glob(".pool*"))


@pytest.mark.slow
def test_a_task_is_fetched_and_named_in_params(tmp_path):
    home = copy_project(tmp_path)
    folder = home / "openai/gsm8k"
    (folder / "main").mkdir(parents=True)
    rows = [{"question": "1 + 1?", "answer": "It is 2.\n#### 2"}]
    pl.DataFrame(rows).write_parquet(folder / "main/test-00000-of-00001.parquet")
    files = [{"split": "test", "path": "main/test-*.parquet"}]
    configs = {"configs": [{"config_name": "main", "data_files": files}]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(configs)}---\n")
    printed = run("dvc", "repro", "remote/tasks/dvc.yaml:task@gsm8k", cwd=home).stdout
    assert re.search(r"^ queries +8 +8", printed, re.M), printed
    assert re.search(r"^ tests +1 +1,319", printed, re.M), printed
    tests = pl.read_parquet(home / "remote/tasks/gsm8k/tests.parquet")
    assert tests["answer"].to_list() == ["2"]
    named = {side: {"from": ["gsm8k"]} for side in ("queries", "tests")}
    change({**named, "eval": {"long_prompts": "truncate"}}, home / "params.yaml")
    run("dvc", "repro", "dedup", cwd=home)
    counts = json.loads((home / "plan.json").read_text())["dedup"]
    assert counts["queries"][0]["path"] == "remote/tasks/gsm8k/queries.parquet"
    assert pl.read_parquet(home / "out/tests.parquet")["kind"].to_list() == ["last_number"]


@pytest.mark.slow
def test_a_pool_that_was_never_fetched_stops_no_experiment(tmp_path):
    home = copy_project(tmp_path)
    stage = {"cmd": "cp params.yaml copy.yaml", "deps": ["params.yaml"], "outs": ["copy.yaml"]}
    (home / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"copy": stage}}))
    (home / "dvc.lock").unlink()
    run("git", "commit", "--quiet", "--all", "--message", "a small pipeline", cwd=home)
    run("dvc", "exp", "run", "--name", "another-seed", "-S", "seed=3", "dvc.yaml", cwd=home)
    run("git", "checkout", "--quiet", ".", cwd=home)
    assert not (home / "remote/pool.parquet").exists()
    run("dvc", "exp", "apply", "another-seed", cwd=home)
    assert "seed: 3" in (home / "copy.yaml").read_text()
    run("dvc", "checkout", cwd=home)


@pytest.mark.slow
def test_a_fetched_pool_is_not_fetched_again_and_never_in_git(tmp_path, dataset):
    home = copy_project(tmp_path / "project")
    change({"name": str(dataset)}, home / "remote/params.yaml")
    first = run("dvc", "repro", "remote/dvc.yaml", cwd=home).stdout
    again = run("dvc", "repro", "remote/dvc.yaml", cwd=home).stdout
    assert "Running stage" in first
    assert "Running stage" not in again
    assert pl.read_parquet(home / "remote/pool.parquet").to_dicts() == ROWS
    run("git", "add", "--all", cwd=home)
    assert "remote/pool.parquet" not in run("git", "ls-files", cwd=home).stdout
