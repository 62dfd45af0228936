"""A plan is made again wherever anything that it reads has changed, and only there."""

import json
import os
import resource
import sys
from pathlib import Path

import pytest

from dataselect.data.checksums import read_checked
from dataselect.plan import unchanged
from dataselect.plan.command import make_plan
from dataselect.plan.unchanged import last_lines, surroundings
from dataselect.report import quiet_libraries
from tests.helpers import change


@pytest.fixture
def planned(home, monkeypatch):
    """A user's folder with a plan, and a package of a single file."""
    package = home / "package"
    package.mkdir()
    (package / "part.py").write_text("a = 1\n")
    monkeypatch.setattr(unchanged, "PACKAGE", package)
    monkeypatch.syspath_prepend(home / "site")
    (home / "site").mkdir()
    monkeypatch.setenv("MY_TOKEN", "not-for-any-file")
    idle = (*unchanged.IDLE_VARIABLES, "PYTEST_CURRENT_TEST")
    monkeypatch.setattr(unchanged, "IDLE_VARIABLES", idle)
    quiet_libraries()  # sets variables, in a process that usually ends with its plan
    make_plan(surroundings())
    return home


def holds():
    return last_lines(surroundings()) is not None


def test_a_plan_that_is_made_again_says_the_same(planned, capsys):
    lines = last_lines(surroundings())
    assert lines[0].startswith("method ")
    assert lines[-1] == "Nothing has changed that the plan reads."
    make_plan(surroundings())
    printed = capsys.readouterr().out
    assert printed.split() == " ".join(lines[:-1]).split()
    assert holds()


def append(name):
    path = Path(name)
    path.write_bytes(path.read_bytes() + b"\n")


def same_size(name):
    path = Path(name)
    path.write_bytes(path.read_bytes()[::-1])


CHANGES = {
    "a setting": lambda: change({"seed": 7}),
    "a method": lambda: append("methods.yaml"),
    "the plan itself": lambda: append("plan.json"),
    "what has run": lambda: Path("dvc.lock").write_text("stages: {}\n"),
    "the pool": lambda: append("pool.jsonl"),
    "the pool, as long as before": lambda: same_size("pool.jsonl"),
    "a pool that is gone": lambda: Path("pool.jsonl").unlink(),
    "metrics of another run": lambda: (
        Path("metrics").mkdir(exist_ok=True),
        Path("metrics/eval.json").write_text("{}"),
    ),
    "code": lambda: Path("package/part.py").write_text("a = 2\n"),
    "a file of code more": lambda: Path("package/new.py").write_text(""),
    "a stage's script": lambda: (Path("stages").mkdir(), Path("stages/x.py").write_text("")),
    "a kind of tests": lambda: (
        Path("eval_kinds").mkdir(exist_ok=True),
        Path("eval_kinds/mine.yaml").write_text(""),
    ),
    "a package": lambda: Path("site/new-1.dist-info").mkdir(),
    "stored features": lambda: (unchanged.scratch_folder() / "embed/key").mkdir(parents=True),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_does_not_hold_after_a_change_of(planned, name):
    assert holds()
    CHANGES[name]()
    assert not holds()


def test_it_does_not_hold_in_another_environment_or_machine(planned, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("HF_HOME", "elsewhere")
        assert not holds()
    with monkeypatch.context() as patch:
        patch.setattr(os, "sysconf", lambda _: 1)
        assert not holds()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version", "4.0")
        assert not holds()
    monkeypatch.setenv("SHLVL", "9")
    assert holds()


def test_a_model_in_a_folder_is_compared_too(planned):
    last = read_checked(unchanged._record())
    (name,) = last["models"]
    last["models"][name] = "another"
    unchanged._record().write_text(json.dumps(last))
    assert not holds()


def test_a_new_file_that_a_glob_matches(planned):
    change({"pool": {"path": "pool*.jsonl"}})
    make_plan(surroundings())
    assert holds()
    Path("pool2.jsonl").write_bytes(Path("pool.jsonl").read_bytes())
    assert not holds()


def test_an_edit_while_a_plan_is_made_is_found(planned):
    before = surroundings()
    append("params.yaml")
    make_plan(before)
    assert not holds()


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"surroundings": 1}'])
def test_a_torn_record_counts_as_none(planned, record):
    unchanged._record().write_text(record)
    assert not holds()


def test_nothing_is_remembered_that_cannot_be_told(planned, monkeypatch):
    unchanged._record().unlink()
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("dataselect.plan.command.training_memory", lambda *_: [])
    make_plan(surroundings())
    assert not unchanged._record().exists()


def test_no_value_of_the_environment_is_written(planned):
    assert "not-for-any-file" not in unchanged._record().read_text()


def test_an_edit_of_the_data_while_a_plan_is_made_is_found(planned, monkeypatch):
    monkeypatch.setattr("dataselect.plan.command.remove_stale", lambda: append("pool.jsonl"))
    make_plan(surroundings())
    assert not holds()


def test_another_limit_of_memory_is_noticed(planned, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2 * 10**9, resource.RLIM_INFINITY))
    assert not holds()


def test_a_link_to_nothing_that_an_editor_leaves_is_no_mistake(planned):
    Path("package/.#part.py").symlink_to("nobody@host")
    assert not holds()
    make_plan(surroundings())
    assert holds()


def test_an_edit_of_what_a_link_leads_to_is_found(planned):
    Path("elsewhere.yaml").write_text("a: 1\n")
    Path("eval_kinds").mkdir(exist_ok=True)
    Path("eval_kinds/mine.yaml").symlink_to("../elsewhere.yaml")
    make_plan(surroundings())
    assert holds()
    Path("elsewhere.yaml").write_text("a: 2, longer\n")
    assert not holds()


def test_a_file_that_goes_while_it_looks_is_no_mistake(planned, monkeypatch):
    walk = [("package", [], ["gone.py", "part.py"])]
    monkeypatch.setattr(os, "walk", lambda folder: iter(walk))
    (gone, there) = unchanged._files(Path("package"))
    assert gone == ["package/gone.py", None]
    assert there[1][0] == len("a = 1\n")


def test_a_folder_of_packages_that_may_not_be_looked_into_is_passed_over(planned, monkeypatch):
    place, stat = str(planned / "closed/lib"), os.stat

    def closed(path, **options):
        if str(path) == place:
            raise PermissionError(13, "Permission denied")
        return stat(path, **options)

    monkeypatch.setattr(os, "stat", closed)
    monkeypatch.syspath_prepend(place)
    assert surroundings()["packages"][place] is None


def test_an_environment_that_is_not_utf_8_is_compared(planned, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(os.environb, b"FULL_NAME", b"Jos\xe9")
        assert not holds()
        make_plan(surroundings())
        assert holds()
