"""The file `.dataselect.json`."""

from dataselect import __version__
from dataselect.project.manifest import NAME, manifest_of, read_manifest
from tests.helpers import mistake


def test_a_manifest_is_read_as_it_was_written_and_leaves_out_the_users_files(tmp_path):
    manifest = manifest_of({"dvc.yaml": b"stages: {}", "params.yaml": b"", ".dvc/config": b""})
    assert list(manifest.files) == ["dvc.yaml"]
    assert manifest.version == __version__
    (tmp_path / NAME).write_bytes(manifest.as_bytes())
    assert read_manifest(tmp_path) == manifest


def test_a_manifest_that_is_missing_or_damaged_is_a_message(tmp_path):
    assert "not a project that it made" in mistake(read_manifest, tmp_path)
    for text in ("{", "[]", '{"version": "1"}'):
        (tmp_path / NAME).write_text(text)
        assert "damaged" in mistake(read_manifest, tmp_path)
