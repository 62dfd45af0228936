"""Where a sweep starts: a project as its last commit has it."""

import pytest
from tests.helpers import change, mistake, run

from dataselect.sweep.repository import git, open_repository


@pytest.fixture
def project(home):
    run("git", "init", "--quiet", cwd=home)
    run("git", "config", "user.email", "test@dataselect.invalid", cwd=home)
    run("git", "config", "user.name", "test", cwd=home)
    (home / ".dvc").mkdir()
    (home / "dvc.yaml").write_text("stages: {}\n")
    (home / "plan.json").write_text("{}")
    return home


def commit(home):
    run("git", "add", "--all", cwd=home)
    run("git", "commit", "--quiet", "--message", "a project", cwd=home)


def test_it_needs_a_commit(project):
    assert "git has no commit yet" in mistake(open_repository)


def test_it_is_refused_where_settings_are_in_no_commit(project):
    commit(project)
    head = git(project, "rev-parse", "HEAD").strip()
    assert open_repository() == (project.resolve(), "", head)
    (project / "plan.json").write_text('{"another": "run"}')  # what runs write may differ
    (project / "sweep.yaml").write_text("methods: [rds]")
    assert open_repository().head == head
    change({"seed": 5})
    assert "not committed: params.yaml" in mistake(open_repository)


def test_it_is_refused_where_git_lacks_the_settings(project):
    (project / ".gitignore").write_text("methods.yaml\n")
    commit(project)
    assert "git does not have methods.yaml yet" in mistake(open_repository)


def test_a_project_in_a_folder_of_a_repository_is_found(project, monkeypatch):
    (project / "part").mkdir()
    for name in ("dvc.yaml", "params.yaml", "methods.yaml"):
        (project / name).rename(project / "part" / name)
    (project / ".dvc").rename(project / "part/.dvc")
    commit(project)
    monkeypatch.chdir(project / "part")
    assert open_repository()[:2] == (project.resolve(), "part")
