"""What the tests of projects share: files of a user, and a project made of them."""

import json
import shutil

import pytest

from dataselect.project.create import create
from dataselect.project.inputs import Inputs
from tests.helpers import GOLDEN, POOL, QUERIES, run


@pytest.fixture
def user(in_scratch):
    """A user's working directory, with a pool, queries and tests of few rows."""
    return write_files(in_scratch)


def write_files(folder):
    """Writes a pool, queries and tests of few rows."""
    for name, rows in {"pool": POOL, "queries": QUERIES, "tests": QUERIES}.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    return folder


def given(**changes):
    """The user's files and a model, as on the command line."""
    files = {name: [f"{name}.jsonl"] for name in ("pool", "queries", "tests")}
    return Inputs(**{**files, "model": str(GOLDEN / "tiny-llama"), **changes})


NOTHING = Inputs(pool=[], queries=[], tests=[])


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A new project in a repository of its own, committed."""
    folder = write_files(tmp_path_factory.mktemp("user")) / "project"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        create(folder, given(method="random", budget=3), demo=False)
    run("git", "config", "user.email", "test@dataselect.invalid", cwd=folder)
    run("git", "config", "user.name", "test", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "new", cwd=folder)
    return folder


@pytest.fixture
def made(made_once, tmp_path):
    """A copy of that project."""
    return shutil.copytree(made_once, tmp_path / "project")


def listing(folder):
    """Every file below a folder, but git's, with its content."""
    paths = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
