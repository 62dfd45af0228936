"""Which files a project has, and what differs from the repository."""

import pytest
import yaml

from dataselect.project import templates
from tests.helpers import ROOT, run

FOLDERS = ("stages", "sql", "eval_kinds", "remote", "profiles", "environments", "demo/world")


def test_all_that_git_has_in_the_folders_of_a_project_is_in_it():
    names = {*templates.names(ROOT), *templates.names(ROOT, templates.DEMO)}
    listed = run("git", "ls-files", "--cached", *FOLDERS, cwd=ROOT).stdout.split()
    assert set(listed) <= names
    known = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    assert names <= set(known.split())


def test_what_was_fetched_is_not_part_of_a_project(tmp_path):
    for name in ("remote/pools/less.yaml", "remote/pools/less.parquet", "remote/pool.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert templates.names(tmp_path) == ["remote/pools/less.yaml"]


def test_commands_of_a_project_take_the_installed_package():
    contents = templates.contents()
    for stage in yaml.safe_load(contents["dvc.yaml"])["stages"].values():
        assert stage["cmd"].startswith("python stages/")
    pipelines = [text for name, text in contents.items() if name.endswith("dvc.yaml")]
    assert len(pipelines) == 4
    assert not [text for text in pipelines if b"src" in text]


def test_a_package_without_the_files_says_so(monkeypatch, tmp_path):
    module = tmp_path / "a" / "b" / "c" / "templates.py"
    monkeypatch.setattr(templates, "__file__", str(module))
    with pytest.raises(FileNotFoundError, match="Install it again"):
        templates.root()
