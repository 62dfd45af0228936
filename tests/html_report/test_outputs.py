"""Where a run's outputs are found: folders, the workspace, and DVC's cache."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from benchmarks.made_up_runs import MadeUp

from dataselect.compare.outputs import md5
from dataselect.errors import InputError
from dataselect.html_report.outputs import TABLES, run_outputs, unfinished
from dataselect.html_report.projection import feature_name


def cached(content):
    """Puts content into DVC's cache; its sum."""
    digest = md5(content)
    path = Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


#: The stage that writes each output.
STAGE = {"pool": "dedup", "queries": "dedup", "features": "embed", "scores": "score",
         "groups": "score", "selection": "aggregate"}  # fmt: skip


def commit(plan, lock):
    """Commits plan.json and dvc.lock."""
    Path("plan.json").write_text(json.dumps(plan))
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "plan.json", "dvc.lock"],
                    [*author, "commit", "-q", "-m", "a run"]):  # fmt: skip
        subprocess.run(["git", *command], check=True)


@pytest.fixture
def committed(run_folder):
    """The run as a commit, its outputs in DVC's cache and nowhere else: plan, lock and sums."""
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("")
    sums = {name: cached((run_folder / f"{name}.parquet").read_bytes()) for name in TABLES}
    entries = [
        {
            "relpath": str(path.relative_to(run_folder / "features")),
            "md5": cached(path.read_bytes()),
        }
        for path in run_folder.glob("features/*/*")
    ]
    digest = cached(json.dumps(entries).encode())
    listed = Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]
    listed.rename(listed.with_name(f"{listed.name}.dir"))
    sums["features"] = f"{digest}.dir"
    run = MadeUp("a", "cosine")
    plan, lock = run.plan(), run.lock(run.files())
    for name, digest in sums.items():
        path = "out/features" if name == "features" else f"out/{name}.parquet"
        outs = lock["stages"][STAGE[name]]["outs"]
        outs[:] = [out for out in outs if out["path"] != path] + [{"path": path, "md5": digest}]
    commit(plan, lock)
    run_folder.rename("gone")
    return plan, lock, sums


def forget(digest):
    (Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]).unlink()


def test_a_folder_is_found_by_itself_or_with_out(run_folder, tmp_path):
    for name in ("out", ".", "workspace"):
        assert run_outputs(name, tmp_path / "s").folder.resolve() == run_folder
    with pytest.raises(InputError, match=r"no pool\.parquet"):
        run_outputs("out/features", tmp_path / "s")


def test_a_commit_is_read_from_the_cache(committed, tmp_path):
    run = run_outputs("HEAD", tmp_path / "scratch")
    assert run.selection.height == 3
    assert run.plan["score"]["scorer"]["name"] == "cosine"
    assert feature_name(run.folder / "features") == "vectors"


def test_what_is_gone_from_the_cache_is_named(committed, tmp_path):
    _, _, sums = committed
    forget(sums["features"])
    assert feature_name(run_outputs("HEAD", tmp_path / "a").folder / "features") is None
    forget(sums["selection"])
    with pytest.raises(InputError, match=r"HEAD: out/selection\.parquet is not there.*dvc pull"):
        run_outputs("HEAD", tmp_path / "b")
    with pytest.raises(InputError, match="no run is called `HAED`"):
        run_outputs("HAED", tmp_path / "c")


def test_outputs_of_other_settings_are_not_shown(committed, tmp_path):
    plan, lock, _ = committed
    plan["embed"]["code"] = "newer"
    commit(plan, lock)  # features, scores and selection are of the older code
    with pytest.raises(InputError, match="HEAD: its stage embed has not run with its settings"):
        run_outputs("HEAD", tmp_path / "a")
    assert unfinished("HEAD") is None
    assert "its stage embed has not run" in unfinished("workspace")


def test_of_a_workspace_that_ran_to_its_end_nothing_is_said(committed):
    assert unfinished("workspace") is None
