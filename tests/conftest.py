"""Fixtures that several tests share."""

import gc
import os
import shutil
import sys
from pathlib import Path

import pytest

from dataselect.data.checkpoints import Checkpoint
from dataselect.plan import code
from tests import fork_server, helpers, small_run
from tests.network_guard import sitecustomize  # noqa: F401  # from here on: this machine only

#: Processes that tests start import the guard, too, where they keep this variable.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent / "network_guard"), *filter(None, [os.environ.get("PYTHONPATH")])]
)
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that reaches for a hub must fail, not wait


_frozen = {"modules": 0}


def pytest_runtest_setup():
    """Does once for all tests what would cost seconds in many.

    The libraries have a million objects: a collection, such as the package does after each model,
    looks at all of them, but at none that is frozen.
    """
    fork_server.ask_nothing_of_the_machine()
    if len(sys.modules) > _frozen["modules"] + 100:
        gc.collect()
        gc.freeze()
        _frozen["modules"] = len(sys.modules)


def pytest_unconfigure():
    """Lets the interpreter end as it always does: DuckDB complains of objects that are left."""
    gc.unfreeze()
    gc.collect()


@pytest.fixture(scope="session", autouse=True)
def no_power_cut():
    """Lets no test wait for the disk, which takes milliseconds a file, and seconds a busy one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def hashes_of_code():
    """Keeps the digests of the package's files from test to test.

    A plan keeps them in its scratch folder; in a new one it goes through the syntax tree of every
    file. Of each file its size, time and inode are compared, here as there.
    """
    known = {}

    class Shared(code._Cache):
        def __init__(self):
            super().__init__()
            self.known = {**known, **self.known}

        def save(self):
            known.update(self.known)
            super().save()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "_Cache", Shared)
        yield


@pytest.fixture(scope="session")
def model_section():
    """MODEL, for the tests that ask for it by name."""
    return helpers.MODEL


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """The golden adapters and their moments, in the form that the warm-up leaves them."""
    folder = tmp_path_factory.mktemp("lora") / "00"
    shutil.copytree(helpers.GOLDEN / "lora", folder)
    shutil.copy2(helpers.GOLDEN / "adam_state.safetensors", folder / "adam.safetensors")
    return Checkpoint(folder, 1e-5)


@pytest.fixture
def in_scratch(tmp_path, monkeypatch):
    """A working directory of its own, and so a scratch folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def home(in_scratch):
    """A user's folder, as the working directory: see helpers.user_folder."""
    return helpers.user_folder(in_scratch)


@pytest.fixture
def out(in_scratch):
    """The outputs of a small run in the working directory, with the recipes: see small_run."""
    shutil.copytree(helpers.ROOT / "sql", in_scratch / "sql")
    small_run.write_run()
    return in_scratch / "out"
