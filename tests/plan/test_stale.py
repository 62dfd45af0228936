"""Scores of another run are removed; those of the planned run stay."""

import json

import pytest
import yaml

from dataselect.plan.stale import DECIDED_BY, remove_stale
from tests.helpers import ROOT, mistake, run

PLAN = {name: {"code": name, "rate": 1e-05} for name in DECIDED_BY["metrics/cost.json"]}
PLAN["engine"] = {"name": "local"}


@pytest.fixture
def ran(in_scratch):
    """A folder after a whole run; yields what writes another plan.json."""
    stages = {name: {"cmd": "x", "params": {"plan.json": {name: PLAN[name]}}} for name in PLAN}
    stages["plan"] = {"cmd": "x", "outs": [{"path": "plan.json"}]}
    del stages["engine"]
    (in_scratch / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    for name in DECIDED_BY:
        (in_scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (in_scratch / name).write_text("{}")

    def plan(**sections):
        (in_scratch / "plan.json").write_text(json.dumps({**PLAN, **sections}))

    plan()
    return plan


def left(home):
    return {name for name in DECIDED_BY if (home / name).exists()}


def test_the_files_of_the_planned_run_stay(ran, in_scratch):
    ran(engine={"name": "ray"})  # decides where work runs, not what comes out
    assert remove_stale() is None
    assert left(in_scratch) == set(DECIDED_BY)


def test_another_pool_removes_all_and_a_second_time_nothing(ran, in_scratch):
    ran(dedup={"code": "another", "rate": 1e-05})
    removed = f"removed, because they belong to another run: {', '.join(DECIDED_BY)}. With"
    assert (remove_stale() or "").startswith(removed)
    assert left(in_scratch) == set()
    assert remove_stale() is None


def test_another_method_keeps_what_the_pool_decides(ran, in_scratch):
    ran(score={"code": "another", "rate": 1e-05})
    assert "metrics/plots/sources.json, metrics/plots/scores.json" in remove_stale()
    assert left(in_scratch) == {name for name in DECIDED_BY if "plots/pool_" in name}


def test_other_training_keeps_what_the_selection_decides(ran, in_scratch):
    ran(train={"code": "train", "rate": 2e-05})
    assert "metrics/eval.json" in remove_stale()
    assert left(in_scratch) == {name for name in DECIDED_BY if "plots" in name} - {
        "metrics/plots/tasks.json"
    }


def test_scores_of_a_run_that_no_lock_file_knows_are_removed(ran, in_scratch):
    (in_scratch / "dvc.lock").unlink()
    removed = f"removed, because they belong to another run: {', '.join(DECIDED_BY)}. With"
    assert (remove_stale() or "").startswith(removed)


def test_a_lock_file_that_is_not_yaml_is_one_message(ran, in_scratch):
    (in_scratch / "dvc.lock").write_text("stages: [")
    assert "dvc.lock: not YAML" in mistake(remove_stale)


def test_every_file_that_stages_leave_to_git_is_among_them():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    kinds = ("outs", "metrics", "plots")
    outs = [out for stage in stages.values() for kind in kinds for out in stage.get(kind, [])]
    in_git = [name for out in outs if isinstance(out, dict) for name, options in out.items()
              if options.get("cache") is False]  # fmt: skip
    assert set(in_git) - {"plan.json"} == set(DECIDED_BY)


def test_files_that_git_tracks_come_back_from_it(ran, in_scratch):
    run("git", "init", "--quiet", cwd=in_scratch)
    ran(score={"code": "another", "rate": 1e-05})
    assert remove_stale().endswith("`dvc repro` brings them back")
    for name in DECIDED_BY:
        (in_scratch / name).write_text("{}")
    run("git", "add", "metrics", cwd=in_scratch)
    assert remove_stale().endswith("brings them back, and so does `git checkout metrics`")
    run("git", "checkout", "--quiet", "metrics", cwd=in_scratch)
    assert left(in_scratch) == set(DECIDED_BY)
