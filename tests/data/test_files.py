"""The scratch folder, paths of the user, and atomic writes."""

import errno
import os
import shutil

import pytest

from dataselect.data import checksums, files, fingerprint
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


def test_a_file_is_on_the_disk_before_its_rename_and_its_folder_after(tmp_path, monkeypatch):
    done = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), replace(*names)))
    monkeypatch.setattr(os, "fsync", lambda handle: done.append(os.fstat(handle).st_ino))
    write_json(tmp_path / "out/file.json", 1)
    file, folder = (tmp_path / "out/file.json").stat().st_ino, (tmp_path / "out").stat().st_ino
    assert done == [file, "rename", folder]


def test_a_folder_is_on_the_disk_with_all_in_it_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda handle: done.append(os.fstat(handle).st_ino))
    partial, folder = tmp_path / ".partial", tmp_path / "folder"
    (partial / "inner").mkdir(parents=True)
    (partial / "inner/file").write_text("content")
    folder.mkdir()
    (folder / "old").touch()
    checksums.seal(partial, folder)
    paths = [partial, *partial.rglob("*")]
    assert {path.stat().st_ino for path in paths} <= set(done)
    assert not checksums.is_sealed(partial)  # the seal is that of its place
    files.rename_folder(partial, folder)
    assert done[-1] == tmp_path.stat().st_ino
    assert checksums.is_sealed(folder)
    assert not (folder / "old").exists()


def test_a_file_system_without_fsync_is_no_error_and_a_disk_that_fails_is(tmp_path, monkeypatch):
    def fail(code):
        monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(code, "x")))

    fail(errno.EINVAL)
    write_json(tmp_path / "file.json", 1)
    fail(errno.EIO)
    with pytest.raises(OSError, match="x"):
        write_json(tmp_path / "file.json", 2)
    assert (tmp_path / "file.json").read_text() == "1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]


def test_a_sum_is_of_every_byte_and_of_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "BLOCK", 64)
    monkeypatch.setattr(checksums, "PIECE", 16)
    path = tmp_path / "file"
    content = bytes(range(200))
    contents = [
        content,
        content[:-1],
        content + b"\0",
        content[64:128] + content[:64] + content[128:],
    ]
    contents += [content[:i] + bytes([content[i] ^ 4]) + content[i + 1 :] for i in range(200)]
    sums = []
    for changed in [*contents, b""]:
        path.write_bytes(changed)
        sums.append(tuple(checksums.file_sum(path)))
    assert len(set(sums)) == len(sums)
    assert sums[-1] == (0, 0)


def test_a_folder_that_cannot_be_removed_is_an_error_and_a_missing_one_is_none(
    tmp_path, monkeypatch
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    (tmp_path / "new").mkdir()
    files.remove_folder(tmp_path / "missing")

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Input/output"):
        patch.setattr(os, "unlink", fail)
        files.rename_folder(tmp_path / "new", tmp_path / "folder")
    assert (tmp_path / "folder/file").exists() and (tmp_path / "new").exists()
    files.rename_folder(tmp_path / "new", tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []
