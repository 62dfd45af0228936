"""A whole run with secrets in the environment: none is in what it wrote or printed."""

import gzip

import polars as pl
import pytest

from tests.helpers import run
from tests.network_guard import sitecustomize
from tests.test_pipeline import small_project

SECRETS = {
    "HF_TOKEN": "hf_" + "secretAbCdEf0123" * 2,
    "AWS_ACCESS_KEY_ID": "AKIAZQ3SECRETKEYID01",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIsecretK7MDENGbPxRfiCYkeymadeup",
}


def texts(path):
    """A file's bytes, and what is packed in them."""
    yield path.read_bytes()
    if path.read_bytes()[:4] == b"PAR1":
        yield pl.read_parquet(path).write_json().encode()
    if path.suffix == ".gz":
        yield gzip.decompress(path.read_bytes())


def leaks(folder):
    """The files that hold a secret, but for git's own, which are older than the run."""
    files = [p for p in folder.rglob("*") if p.is_file() and ".git" not in p.parts]
    held = {
        str(path.relative_to(folder)): name
        for path in files
        for text in texts(path)
        for name, secret in SECRETS.items()
        if secret.encode() in text
    }
    return files, held


@pytest.mark.slow
@pytest.mark.parametrize("method", [pytest.param("less", marks=pytest.mark.torture), "s2l"])
def test_no_secret_is_in_anything_that_a_run_wrote_or_printed(tmp_path, monkeypatch, method):
    home = small_project(tmp_path / "project", method=method)
    monkeypatch.setenv(sitecustomize.LOG, str(tmp_path / "network"))
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    done = run("dvc", "repro", "--verbose", cwd=home)
    assert not (tmp_path / "network").exists()  # with keys there, it asked no one
    files, held = leaks(home)
    written = {str(path.relative_to(home)) for path in files}
    assert {"plan.json", "dvc.lock", "metrics/eval.json", "out/selection.parquet"} <= written
    assert any(name.startswith(".dvc/tmp/scratch/embed") for name in written)
    assert any(name.startswith("out/model") for name in written)
    assert not held
    for name, secret in SECRETS.items():
        assert secret not in done.stdout + done.stderr, name
    (home / "out" / "leak.txt").write_text(SECRETS["HF_TOKEN"])
    assert leaks(home)[1] == {"out/leak.txt": "HF_TOKEN"}
