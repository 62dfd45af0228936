"""Files are written all or not at all."""

import pytest

from dataselect.errors import InputError
from dataselect.project.writing import all_or_nothing
from tests.project.conftest import listing


def test_all_is_written(tmp_path):
    with all_or_nothing() as writer:
        writer.write(tmp_path / "a/b/file", b"text")
    assert listing(tmp_path) == {"a/b/file": b"text"}


def test_a_failure_takes_everything_back(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(KeyboardInterrupt), all_or_nothing() as writer:
        writer.write(tmp_path / "file", b"ours")
        writer.write(tmp_path / "a/b/file", b"ours")
        writer.claim(tmp_path / "c", tmp_path / "a")
        writer.remember(tmp_path / "other")
        (tmp_path / "c/d").mkdir(parents=True)
        (tmp_path / "other").touch()
        raise KeyboardInterrupt
    assert listing(tmp_path) == {"file": b"mine"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_folder_that_may_not_be_written_is_a_message(tmp_path):
    with pytest.raises(InputError, match="place: cannot be written: no"), all_or_nothing():
        raise PermissionError(13, "no", "place")
