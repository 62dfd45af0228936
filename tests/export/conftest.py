"""A finished run, made once."""

import shutil

import pytest

from tests.export import make_run
from tests.helpers import user_folder


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of a finished run; no test changes it."""
    home = user_folder(tmp_path_factory.mktemp("made"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        make_run(home)
    return home


@pytest.fixture
def finished(made, in_scratch):
    """A copy of it, as the working directory."""
    shutil.copytree(made, in_scratch, dirs_exist_ok=True)
    return in_scratch
