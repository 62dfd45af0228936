"""Where a run's outputs are found: folders, the workspace, and DVC's cache."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from dataselect.compare.recorded import md5
from dataselect.errors import InputError
from dataselect.html_report.outputs import TABLES, run_outputs
from dataselect.html_report.projection import feature_name


def cached(content):
    """Puts content into DVC's cache; its sum."""
    digest = md5(content)
    path = Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


@pytest.fixture
def committed(run_folder):
    """The run as a commit, its outputs in DVC's cache and nowhere else."""
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("")
    outs = [
        {
            "path": f"out/{name}.parquet",
            "md5": cached((run_folder / f"{name}.parquet").read_bytes()),
        }
        for name in TABLES
    ]
    files = list(run_folder.glob("features/*/*"))
    entries = [
        {
            "relpath": str(path.relative_to(run_folder / "features")),
            "md5": cached(path.read_bytes()),
        }
        for path in files
    ]
    listing = json.dumps(entries).encode()
    digest = cached(listing)
    listed = Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]
    listed.rename(listed.with_name(f"{listed.name}.dir"))
    outs.append({"path": "out/features", "md5": f"{digest}.dir"})
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"all": {"outs": outs}}}))
    (run_folder / "plan.json").rename("plan.json")
    run_folder.rename("gone")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "plan.json", "dvc.lock"],
                    [*author, "commit", "-q", "-m", "a run"]):  # fmt: skip
        subprocess.run(["git", *command], check=True)
    return {out["path"]: out["md5"] for out in outs}


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
    forget(committed["out/features"])
    assert feature_name(run_outputs("HEAD", tmp_path / "a").folder / "features") is None
    forget(committed["out/selection.parquet"])
    with pytest.raises(InputError, match=r"HEAD: out/selection\.parquet is not there.*dvc pull"):
        run_outputs("HEAD", tmp_path / "b")
    with pytest.raises(InputError, match="no run is called `HAED`"):
        run_outputs("HAED", tmp_path / "c")
