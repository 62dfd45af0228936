"""Fetching a data set, from local folders in the form of a hub's."""

import json
import os
import re
import subprocess
import sys

import polars as pl
import pytest
import yaml

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
def test_a_task_with_training_rows_makes_its_pool(tmp_path):
    home = copy_project(tmp_path)
    folder = home / "IndianaUniversityDatasetsModels/Medical_reports_Splits"
    folder.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = [{"findings": f"{split} {i} is clear.", "impression": "Normal."} for i in range(3)]
        pl.DataFrame(rows).write_parquet(folder / f"{split}-00000-of-00001.parquet")
    path = "remote/tasks/open_i/pool.parquet"
    change({"pool": {"path": path}, "tests": {"from": ["open_i"]}}, home / "params.yaml")
    failed = run("dvc", "repro", "plan", cwd=home, check=False)
    command = "dvc repro remote/tasks/dvc.yaml:task@open_i"
    assert f"Run `{command}`" in " ".join(failed.stderr.split())
    printed = run(*command.split(), cwd=home).stdout
    assert re.search(r"^ tests +3 +– $", printed, re.M), printed
    assert re.search(r"^ rows for a pool +3 +– $", printed, re.M), printed
    run("dvc", "repro", "dedup", cwd=home)
    pool = pl.read_parquet(home / "out/pool.parquet")
    assert pool["source"].to_list() == ["open_i"] * 3
    (folder / "test-00000-of-00001.parquet").write_bytes(b"")
    done = run("python", "remote/task.py", "open_i", cwd=home, check=False)
    assert done.returncode == 1
    assert "dataselect task: IndianaUniversity" in done.stderr
    assert "Traceback" not in done.stderr


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


@pytest.fixture
def named_pool(tmp_path):
    """A project whose pool `mathinstruct` is a folder of three rows in the set's own form."""
    home = copy_project(tmp_path / "project")
    rows = [
        {"source": f"data/{kind}.json", "output": f"It is {i}.", "instruction": f"What is {i}?"}
        for i, kind in enumerate(("CoT/a", "PoT/b", "CoT/a"))
    ]
    folder = home / "TIGER-Lab/MathInstruct"
    folder.mkdir(parents=True)
    (folder / "MathInstruct.json").write_text(json.dumps(rows, indent=4))
    return home


@pytest.mark.slow
def test_a_pool_is_fetched_by_its_name_and_chosen_from(named_pool):
    home, stage = named_pool, "remote/pools/dvc.yaml:pool@mathinstruct"
    change({"pool": {"path": "remote/pools/mathinstruct.parquet"}}, home / "params.yaml")
    failed = run("dvc", "repro", "plan", cwd=home, check=False)
    assert failed.returncode != 0
    assert f"Run `dvc repro {stage}`" in " ".join(failed.stderr.split())
    printed = run("dvc", "repro", stage, cwd=home).stdout
    assert re.search(r"^ rows +3 $", printed, re.M), printed
    assert re.search(r"^ published +262,039 $", printed, re.M), printed
    assert re.search(r"^ warning: differs by +-262,036 $", printed, re.M), printed
    note = json.loads((home / "remote/pools/mathinstruct.source.json").read_text())
    assert (note["rows"], note["published"], note["commit"]) == (3, 262039, None)
    again = run("dvc", "repro", stage, cwd=home).stdout
    assert "Running stage" not in again
    run("dvc", "repro", "dedup", cwd=home)
    pool = pl.read_parquet(home / "out/pool.parquet")
    assert pool["source"].to_list() == ["data/CoT/a.json", "data/PoT/b.json", "data/CoT/a.json"]
    assert pool["messages"][1][1]["content"] == "It is 1."
    listed = run("dataselect", "pools", cwd=home).stdout
    assert re.search(r"^ mathinstruct +262,039 +3 +TIGER-Lab/MathInstruct $", listed, re.M), listed
    run("git", "add", "--all", cwd=home)
    committed = run("git", "ls-files", "remote/pools", cwd=home).stdout
    assert "mathinstruct.source.json" in committed
    assert ".parquet" not in committed


@pytest.mark.slow
def test_without_network_a_fetch_ends_with_a_message(tmp_path):
    home = copy_project(tmp_path / "project")
    done = subprocess.run(
        [sys.executable, "remote/fetch.py", "tulu2_unfiltered_200k"],
        cwd=home,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(home / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "unverified" in done.stdout  # the name of this one was seen nowhere
    assert "Check the network" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "remote/pools/tulu2_unfiltered_200k.parquet").exists()
