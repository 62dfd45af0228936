"""No test reaches another machine, and no run on local files wants to."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.helpers import ROOT, run
from tests.network_guard import sitecustomize
from tests.test_pipeline import small_project

#: An address that is for documentation, and a name that no one can have.
ADDRESS, NAME = ("192.0.2.1", 443), "data.invalid"


def test_a_test_reaches_this_machine_only(tmp_path, monkeypatch):
    monkeypatch.setenv(sitecustomize.LOG, str(tmp_path / "log"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1]), timeout=5).close()
    assert not (tmp_path / "log").exists()
    with socket.socket() as client, pytest.raises(OSError, match="this machine only") as refused:
        client.connect(ADDRESS)
    assert refused.value.errno == errno.ENETUNREACH
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(OSError, match="only"):
        client.sendto(b"", ADDRESS)
    with pytest.raises(OSError, match=f"not {NAME}"):
        socket.create_connection((NAME, 443))
    assert (tmp_path / "log").read_text().split() == [ADDRESS[0], ADDRESS[0], NAME]


@pytest.mark.slow
@pytest.mark.parametrize("python", [sys.executable, "python"], ids=["process", "fork"])
def test_nor_do_the_processes_that_it_starts(tmp_path, python):
    connect = f"import socket; socket.create_connection({(NAME, 443)})"
    done = run(python, "-c", connect, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert f"tests reach this machine only, not {NAME}" in done.stderr


READ = """
from dataselect import report
report.quiet_libraries()
import datasets, sys
assert datasets.load_dataset("parquet", data_files=sys.argv[1], cache_dir="cache", split="train")
"""


@pytest.mark.slow
def test_no_one_is_told_that_a_local_file_is_read(tmp_path, monkeypatch):
    """The library `datasets`, with which lm-eval reads the tests, would count it at a server."""
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "a.parquet")
    monkeypatch.setenv(sitecustomize.LOG, str(tmp_path / "log"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    run(sys.executable, "-c", READ, "a.parquet", cwd=tmp_path)
    assert not (tmp_path / "log").exists()


def without_network():
    """A command before another, which has no network but its own loopback, where that is known."""
    bwrap = shutil.which("bwrap")
    if not bwrap:
        return []
    command = [bwrap, "--dev-bind", "/", "/", "--unshare-net"]
    return command if subprocess.run([*command, "true"], check=False).returncode == 0 else []


@pytest.mark.torture
def test_a_run_on_local_files_reaches_for_no_network(tmp_path):
    """Processes of their own: those of the fork server know that hubs are out of reach."""
    home = small_project(tmp_path / "project", method="rds")
    shutil.copy(ROOT / "tests/network_guard/sitecustomize.py", home / "src")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, sitecustomize.LOG: str(tmp_path / "log")}
    del environment["HF_HUB_OFFLINE"]
    command = [*without_network(), "dvc", "repro"]
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (home / "metrics/eval.json").exists()
    assert not (tmp_path / "log").exists(), (tmp_path / "log").read_text()
    (home / "stages/connect.py").write_text(f"import socket; socket.gethostbyname('{NAME}')")
    guarded = subprocess.run(
        ["bash", "-c", "PYTHONPATH=src python stages/connect.py"],
        cwd=home, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert guarded.returncode == 1
    assert (tmp_path / "log").read_text() == f"{NAME}\n"  # so a stage would have been seen
