"""The files that a path stands for, and their hashes."""

import os
from pathlib import Path

import pytest

from dataselect.data import fingerprint
from dataselect.data.fingerprint import (
    check_planned_files,
    check_planned_model,
    folder_hash,
    matching_files,
)
from tests.helpers import mistake


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("data/b.jsonl", ["data/b.jsonl"]),
        (["data/b.jsonl", "data/a.jsonl"], ["data/b.jsonl", "data/a.jsonl"]),
        ("data/*.jsonl", ["data/a.jsonl", "data/b.jsonl"]),
        ("data/**/*.jsonl", ["data/a.jsonl", "data/b.jsonl", "data/deep/c.jsonl"]),
        (["data/b.jsonl", "data/*"], ["data/b.jsonl", "data/a.jsonl"]),
        ("[odd].jsonl", ["[odd].jsonl"]),
    ],
    ids=str,
)
def test_one_file_a_list_or_a_glob(in_scratch, path, names):
    (in_scratch / "data/deep").mkdir(parents=True)
    for name in ("data/a.jsonl", "data/b.jsonl", "data/deep/c.jsonl", "[odd].jsonl"):
        Path(name).touch()
    assert [file.path for file in matching_files(path, "pool.path")] == names


def test_a_file_is_known_by_its_bytes(in_scratch):
    Path("a.jsonl").write_bytes(b"one\n")
    assert matching_files("a.jsonl", "x")[0].md5 == "5bbf5a52328e7439ae6e719dfe712200"
    Path("a.jsonl").write_bytes(b"three\n")
    assert matching_files("a.jsonl", "x")[0].md5 == "febe6995bad457991331348f7b9c85fa"


def test_links_in_a_pools_folder_have_an_end_and_are_no_devices(in_scratch):
    Path("data").mkdir()
    Path("data/b.jsonl").write_text("rows")
    Path("data/a.jsonl").symlink_to("b.jsonl")
    Path("data/loop").symlink_to(".")
    Path("data/zero.jsonl").symlink_to("/dev/zero")
    Path("data/gone.jsonl").symlink_to("nowhere")
    found = [file.path for file in matching_files("data/**/*.jsonl", "x")]
    assert found == ["data/a.jsonl", "data/b.jsonl"]
    assert "no such file" in mistake(matching_files, "data/zero.jsonl", "x")


def test_a_file_whose_name_is_not_utf_8_is_a_mistake(in_scratch):
    Path(os.fsdecode(b"p\xff.jsonl")).write_text("rows")
    message = mistake(matching_files, "*.jsonl", "pool.path")
    assert message.startswith(r"pool.path: `p\xff.jsonl`: the file's name is not UTF-8")


def test_planned_files_are_compared_with_what_is_there(in_scratch, monkeypatch):
    for name in ("a.jsonl", "b.jsonl"):
        Path(name).write_text("rows")
    planned = matching_files("*.jsonl", "pool.path")
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint.hashlib, "file_digest", None)  # nothing is read again
        check_planned_files(planned)
    Path("b.jsonl").write_text("swor")
    assert "`b.jsonl` has changed" in mistake(check_planned_files, planned)
    Path("b.jsonl").unlink()
    assert "`b.jsonl` has changed" in mistake(check_planned_files, planned)


def test_a_planned_model_is_compared_with_its_folder(in_scratch, monkeypatch):
    Path("model").mkdir()
    Path("model/weights").write_text("weights")
    md5 = folder_hash("model")
    memory = (in_scratch / ".scratch/plan/hashes.json").read_bytes()
    Path("model/weights").touch()
    check_planned_model("model", md5)
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint.hashlib, "file_digest", None)  # it was read again, once
        check_planned_model("model", md5)
    assert (in_scratch / ".scratch/plan/hashes.json").read_bytes() == memory
    Path("model/more").write_text("")
    assert "the folder of the model `model` has changed" in mistake(
        check_planned_model, "model", md5
    )
    check_planned_model("of/a-hub", None)
