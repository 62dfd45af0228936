"""A new project: where it may be, what is in it, and that a failure leaves nothing behind."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from dataselect.plan.params import read_yaml
from dataselect.plan.run import plan
from dataselect.project import create as module
from dataselect.project import repositories
from dataselect.project.create import create
from tests.helpers import ROOT, mistake, run
from tests.project.conftest import NOTHING, given, listing


@pytest.mark.slow
def test_a_new_project_has_the_users_files_and_a_repository_and_can_be_planned(made, monkeypatch):
    params = yaml.safe_load((made / "params.yaml").read_text())
    assert Path(params["pool"]["path"]).is_absolute()
    assert Path(params["pool"]["path"]).name == "pool.jsonl"
    assert params["budget"] == 3
    monkeypatch.chdir(made)
    assert plan(read_yaml("params.yaml"), read_yaml("methods.yaml")).aggregate.budget == 3
    assert run("git", "status", "--porcelain", cwd=made).stdout == ""
    assert "analytics = false" in (made / ".dvc/config").read_text()


@pytest.mark.slow
def test_a_project_in_a_repository_adds_to_its_ignored_files(user):
    run("git", "init", "--quiet", cwd=user)
    (user / ".gitignore").write_text("*.tmp\n/out/")
    (user / "data").mkdir()
    (user / "pool.jsonl").rename(user / "data/pool.jsonl")
    create(user, given(pool=["data/*.jsonl"]), demo=False)
    assert yaml.safe_load((user / "params.yaml").read_text())["pool"]["path"] == "data/*.jsonl"
    lines = (user / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.tmp", "/out/"]
    assert lines.count("/out/") == 1
    assert "/metrics/live/" in lines


@pytest.mark.slow
def test_a_subfolder_of_a_repository_is_a_dvc_project_of_its_own(user):
    run("git", "init", "--quiet", cwd=user)
    create(user / "one", NOTHING, demo=False)
    assert not (user / "one/.git").exists()
    assert run("dvc", "root", cwd=user / "one/stages").stdout.strip() == ".."
    create(user / "two", NOTHING, demo=False)
    message = mistake(create, user / "one/sql/three", NOTHING, demo=False)
    assert f"inside the DVC project {user / 'one'}" in message


@pytest.mark.slow
def test_a_dvc_project_keeps_its_settings_and_gets_ours(user):
    run("git", "init", "--quiet", cwd=user)
    run("dvc", "init", "--quiet", cwd=user)
    run("dvc", "config", "core.autostage", "false", cwd=user)
    run("dvc", "remote", "add", "mine", "store", cwd=user)
    create(user, NOTHING, demo=False)
    assert run("dvc", "config", "core.autostage", cwd=user).stdout.strip() == "false"
    assert run("dvc", "config", "core.analytics", cwd=user).stdout.strip() == "false"
    assert "mine" in run("dvc", "remote", "list", cwd=user).stdout


@pytest.mark.slow
def test_the_demo_is_whole(in_scratch):
    create(in_scratch / "project", NOTHING, demo=True)
    for name in ("params.yaml", "demo/world/pool.parquet", "demo/base_model/model.safetensors"):
        assert (in_scratch / "project" / name).read_bytes() == (ROOT / name).read_bytes()


def test_nothing_is_overwritten(user):
    run("git", "init", "--quiet", cwd=user)
    (user / "params.yaml").write_text("mine: 1\n")
    (user / "sql").mkdir()
    (user / "sql/views.sql").touch()
    before = listing(user)
    message = mistake(create, user, NOTHING, demo=False)
    assert "params.yaml, sql/views.sql: there already" in message
    assert listing(user) == before


@pytest.mark.slow
def test_a_project_is_not_made_twice(made):
    assert "dataselect init --update" in mistake(create, made, NOTHING, demo=False)


def test_files_without_a_repository_are_refused(user):
    message = mistake(create, user, NOTHING, demo=False)
    assert "found `pool.jsonl` and 2 more and no repository" in message
    assert "git init" in message


def test_options_are_checked_before_the_folder(user):
    message = mistake(create, user, replace(NOTHING, method="rsd"), demo=False)
    assert message.startswith("--method: no method is called `rsd`")
    message = mistake(create, user, replace(NOTHING, budget="half"), demo=False)
    assert message.startswith("--budget: ")


def test_a_file_in_the_place_of_the_folder_is_refused(user):
    for folder in (user / "pool.jsonl", user / "pool.jsonl/project"):
        message = mistake(create, folder, NOTHING, demo=False)
        assert f"{user / 'pool.jsonl'}: expected a folder, found a file" in message


def test_without_git_it_says_what_to_install(in_scratch, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    message = mistake(create, in_scratch / "project", NOTHING, demo=False)
    assert "git is not installed" in message
    assert not (in_scratch / "project").exists()


def test_the_demo_takes_no_files(user):
    assert "Leave out" in mistake(create, user / "project", given(), demo=True)


@pytest.mark.slow
@pytest.mark.parametrize("in_repository", [False, True])
def test_a_failure_leaves_nothing_behind(user, monkeypatch, in_repository):
    if in_repository:
        run("git", "init", "--quiet", cwd=user)
        (user / ".gitignore").write_text("*.tmp\n")
    before = listing(user)

    def fail(contents):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "manifest_of", fail)
    folder = user if in_repository else user / "a" / "project"
    with pytest.raises(OSError, match="No space left"):
        create(folder, given(), demo=False)
    assert listing(user) == before
    assert not (user / "a").exists()
    assert not (user / ".dvc").exists()
    if in_repository:
        assert run("git", "diff", "--cached", "--name-only", cwd=user).stdout == ""


def test_a_command_that_fails_is_a_message(user, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(user / "none"))
    monkeypatch.setattr(repositories, "git_root", lambda folder: user)
    before = listing(user)
    message = mistake(create, user, given(), demo=False)
    assert "`dvc init --quiet` failed" in message
    assert listing(user) == before
