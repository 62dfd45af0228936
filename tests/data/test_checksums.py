"""Sums of files: they depend on the bytes alone, not on how a read delivers them."""

from __future__ import annotations

import io

import pytest

from dataselect.data import checksums


class Slow(io.FileIO):
    """A file whose reads deliver little, as some network file systems do."""

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[:1_000])


@pytest.mark.parametrize("size", [0, 1, 70_000, 150_000])
def test_reads_that_deliver_little_change_no_sum(tmp_path, monkeypatch, size):
    monkeypatch.setattr(checksums, "BLOCK", 1 << 16)
    monkeypatch.setattr(checksums, "PIECE", 1 << 14)
    path = tmp_path / "file"
    path.write_bytes(bytes(number % 251 for number in range(size)))
    whole = checksums.file_sum(path)
    monkeypatch.setattr("pathlib.Path.open", lambda self, mode, buffering: Slow(self))
    assert checksums.file_sum(path) == whole
    assert whole[0] == size
