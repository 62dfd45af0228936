"""The scratch folder, paths of the user, and atomic writes."""

import os
import shutil

import pytest

from dataselect.data import files, fingerprint
from dataselect.data.files import atomic_write, resolve, scratch_folder, write_json


def test_experiments_share_the_repositorys_scratch_folder(tmp_path):
    for place in (".dvc", ".dvc/tmp/exps/standalone/x/.dvc", ".dvc/tmp/exps/standalone/x/data"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
    expected = tmp_path / ".dvc/tmp/scratch"
    assert scratch_folder(tmp_path) == expected
    assert scratch_folder(tmp_path / ".dvc/tmp/exps/standalone/x") == expected
    assert scratch_folder(tmp_path / ".dvc/tmp/exps/standalone/x/data") == expected


def test_what_only_the_repository_has_is_found_from_an_experiment(tmp_path, monkeypatch):
    workspace = tmp_path / ".dvc/tmp/exps/standalone/x"
    (workspace / ".dvc").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/pool.jsonl").write_text("{}")
    monkeypatch.chdir(workspace)
    assert resolve("data/pool.jsonl") == str(tmp_path / "data/pool.jsonl")
    assert resolve("data/none.jsonl") == "data/none.jsonl"
    assert [file.path for file in fingerprint.matching_files("data/*.jsonl", "x")] == [
        "data/pool.jsonl"
    ]


def test_a_repository_below_another_has_its_own(tmp_path):
    for place in (".dvc", "inner/.dvc", "inner/data"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
    assert scratch_folder(tmp_path / "inner/data") == tmp_path / "inner/.dvc/tmp/scratch"


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert os.listdir(tmp_path) == ["file.json"]  # noqa: PTH208


def test_where_there_are_no_links_a_copy_is_whole_or_not_there(tmp_path, monkeypatch):
    (tmp_path / "finished").write_text("content")

    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    files.hardlink_or_copy(tmp_path / "finished", tmp_path / "out/copy")
    assert (tmp_path / "out/copy").read_text() == "content"
    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(OSError, match="no links here"):
        files.hardlink_or_copy(tmp_path / "finished", tmp_path / "out/other")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["copy"]
