"""Fixtures that several tests share."""

import os
import shutil

import pytest

from dataselect.data.checkpoints import Checkpoint
from tests import helpers, small_run

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that reaches for a hub must fail, not wait


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
