"""A run that fails at any point where it changes files goes on, and ends with the same bytes."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from dataselect.data import crash_points
from tests.helpers import ROOT, change, mistake, run, small_methods, user_folder

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crash points")]

STAGES = ("plan", "dedup", "reference", "embed", "score", "aggregate", "train", "baseline", "eval",
          "cost")  # fmt: skip

#: What makes a run of every stage short; LESS fits a reference and has features of all kinds.
SETTINGS = {
    "method": "less",
    "model": {"name": "model", "dtype": "float32", "max_tokens": 64},
    "train": {"epochs": 1, "batch_size": 2, "save_steps": 1, "threads": 1},
    "eval": {"max_new_tokens": 2, "batch_size": 4, "threads": 1},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A user's folder with 20 rows, in which no stage has run."""
    home = user_folder(tmp_path_factory.mktemp("project"))
    rows = [{"id": f"r{i}", "prompt": f"{i % 16} + 1?", "completion": str(i)} for i in range(20)]
    (home / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / ".dvc").mkdir()
    for name, source in (("stages", "stages"), ("model", "tests/golden/tiny-llama")):
        (home / name).symlink_to(ROOT / source)
    (home / "methods.yaml").write_text(yaml.safe_dump(small_methods(), sort_keys=False))
    return home


def try_points(home, stage, every):
    """What `crash_points.py` found of a stage."""
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/crash_points.py"), stage, str(every)], cwd=home,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1", "TQDM_DISABLE": "1",
             "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{stage}: {found['points']} points, {found['runs']} runs that failed or were disturbed, "
          f"{len(found['failures'])} of them wrong")  # fmt: skip
    return found


def test_dedup_and_aggregate_go_on_from_every_point(project, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    run("python", "stages/plan.py", cwd=project)
    found = try_points(project, "dedup", every=16)
    assert found["failures"] == []
    assert found["points"] > 60
    for stage in ("reference", "embed", "score"):
        run("python", f"stages/{stage}.py", cwd=project)
    found = try_points(project, "aggregate", every=16)
    assert found["failures"] == []
    assert found["points"] > 40


@pytest.mark.torture
@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_goes_on_from_every_point(project, stage):
    if stage == "plan":
        change(SETTINGS, project / "params.yaml")
    found = try_points(project, stage, every=4)
    assert found["failures"] == []


@pytest.mark.parametrize("setting", ["", "x", "0x1", "3:EPERM", "-1"])
def test_a_point_that_is_none_is_refused(setting):
    assert "DATASELECT_FAIL_AT: expected a number" in mistake(crash_points.start, setting)
