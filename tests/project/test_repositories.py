"""Git repositories and DVC projects around a folder."""

import pytest

from dataselect.project.repositories import add_settings, check_place, edited, git_root
from tests.helpers import mistake, run


def test_the_repository_of_a_folder_that_is_not_there_yet(in_scratch):
    assert git_root(in_scratch / "a/b") is None
    run("git", "init", "--quiet", cwd=in_scratch)
    assert git_root(in_scratch / "a/b") == in_scratch.resolve()


def test_a_repository_that_git_refuses_is_a_message(in_scratch):
    (in_scratch / ".git").write_text("gitdir: none\n")
    assert "git cannot read this repository" in mistake(git_root, in_scratch)


@pytest.mark.parametrize("inner", [False, True])
def test_a_dvc_project_outside_of_the_repository_is_of_no_concern(in_scratch, inner):
    (in_scratch / ".dvc").mkdir()
    (in_scratch / ".dvc/config").touch()
    folder = in_scratch / "repository/project"
    if inner:
        check_place(folder, in_scratch / "repository")
    else:
        assert "inside the DVC project" in mistake(check_place, folder, in_scratch)


def test_settings_are_added_and_never_changed(tmp_path):
    config = tmp_path / "config"
    config.write_text("[core]\n    autostage = false\n['remote \"a\"']\n    url = b\n")
    add_settings(
        config, b"[core]\n    autostage = true\n    analytics = false\n[plots]\n    x = y\n"
    )
    lines = [line.strip() for line in config.read_text().splitlines()]
    assert lines[:2] == ["[core]", "autostage = false"]
    assert {"analytics = false", "url = b", "[plots]", "x = y"} <= set(lines)
    assert "autostage = true" not in lines


def test_files_that_differ_from_the_last_commit_are_named(tmp_path):
    assert edited(tmp_path) == []  # an installed package: no repository
    run("git", "init", "--quiet", cwd=tmp_path)
    for name in ("params.yaml", "methods.yaml"):
        (tmp_path / name).write_text("seed: 0\n")
    run("git", "add", "--all", cwd=tmp_path)
    run("git", "commit", "--quiet", "--message", "first", cwd=tmp_path)
    assert edited(tmp_path) == []
    (tmp_path / "params.yaml").write_text("seed: 7\n")
    assert edited(tmp_path) == ["params.yaml"]
