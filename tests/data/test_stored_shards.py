"""Stored shards: a shard is taken out of a wider one, or not at all."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from dataselect.data import files
from dataselect.data.shard_records import read_record, write_record
from dataselect.data.stored_shards import KEY_FILE, WiderFolder, stored_keys, take_columns

ARRAYS = {
    "nll": np.arange(12, dtype=np.float32).reshape(3, 4),
    "vectors": np.arange(24, dtype=np.float16).reshape(3, 4, 2),
    "before": np.asarray([1.0, np.nan, 3.0], dtype=np.float32),
}
NAME = "shard.safetensors"


def wider(home, name="wide", arrays=ARRAYS, columns=(0, 2), cost=0.5):
    """A folder with a shard of four columns."""
    (home / name).mkdir()
    path = home / name / NAME
    save_file(arrays, path)
    record = {"tokens": 10, "flops": 5.0, "seconds": 3.0, "versions": {"torch": "1"}}
    write_record(path, record, path)
    return WiderFolder(home / name, ("nll", "vectors"), 4, columns, cost)


def test_the_wanted_columns_are_taken_and_the_rest_stays(tmp_path):
    assert take_columns(tmp_path / NAME, 3, [wider(tmp_path)])
    found = load_file(tmp_path / NAME)
    assert found["nll"].tolist() == [[0, 2], [4, 6], [8, 10]]
    np.testing.assert_array_equal(found["vectors"], ARRAYS["vectors"][:, [0, 2]])
    np.testing.assert_array_equal(found["before"], ARRAYS["before"])
    assert {name: a.dtype for name, a in found.items()} == {n: a.dtype for n, a in ARRAYS.items()}
    record = {"tokens": 5, "flops": 2.5, "seconds": 1.5, "versions": {"torch": "1"}}
    assert read_record(tmp_path / NAME) == record


WRONG = {
    "fewer rows": {name: array[:2] for name, array in ARRAYS.items()},
    "fewer columns": ARRAYS | {"nll": ARRAYS["nll"][:, :3].copy()},
    "no columns": ARRAYS | {"nll": ARRAYS["before"]},
    "another array": {"before": ARRAYS["before"]},
}


@pytest.mark.parametrize("arrays", WRONG.values(), ids=WRONG)
def test_a_shard_of_another_shape_is_passed_over(arrays, tmp_path):
    wrong = wider(tmp_path, arrays=arrays)
    assert not take_columns(tmp_path / NAME, 3, [wrong])
    assert not list(tmp_path.glob("*.*"))  # neither a shard nor a record
    assert take_columns(tmp_path / NAME, 3, [wrong, wider(tmp_path, "next")])


@pytest.mark.parametrize("length", [None, 0, 4, -1], ids=str)
def test_a_torn_shard_or_none_is_passed_over(length, tmp_path):
    source = wider(tmp_path)
    path = source.folder / NAME
    if length is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:length])
    assert not take_columns(tmp_path / NAME, 3, [source])
    assert not list(tmp_path.glob("*.*"))


def test_every_folder_of_shards_has_a_key(in_scratch):
    home = files.scratch_folder() / "embed"
    assert list(stored_keys()) == []
    keys = {files.content_key(["key", name]): ["key", name] for name in ("a", "b")}
    for name, key in keys.items():
        files.write_json(home / name / KEY_FILE, key)
    (home / "none").mkdir()
    files.write_json(home / "of another folder" / KEY_FILE, ["key", "a"])
    (home / "torn").mkdir()
    (home / "torn" / KEY_FILE).write_bytes(bytes(20))
    assert dict(stored_keys()) == {home / name: key for name, key in keys.items()}
