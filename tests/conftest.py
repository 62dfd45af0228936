"""Fixtures that several tests share."""

import os

import pytest

from tests import helpers

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that reaches for a hub must fail, not wait


@pytest.fixture(scope="session")
def model_section():
    """MODEL, for the tests that ask for it by name."""
    return helpers.MODEL


@pytest.fixture
def in_scratch(tmp_path, monkeypatch):
    """A working directory of its own, and so a scratch folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def home(in_scratch):
    """A user's folder, as the working directory: see helpers.user_folder."""
    return helpers.user_folder(in_scratch)
