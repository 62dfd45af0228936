"""A run takes what a finished training has left; what no run needs is removed."""

import contextlib
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from dataselect.data import locks
from dataselect.train import same_training

RUN = """
import json, sys, time
from pathlib import Path
from dataselect.train import same_training

home, out = Path("train/key"), Path(sys.argv[1])
with same_training.turn(home):
    figures = same_training.restore(home, out / "model", out / "curve")
    if figures is None:
        print("trains", flush=True)
        (out / "model/adapter").mkdir(parents=True)
        (out / "model/adapter/weights").write_text("weights")
        (out / "curve").mkdir()
        (out / "curve/loss.tsv").write_text("0.5")
        while not Path("go").exists():
            time.sleep(0.01)
        figures = {"steps": 3}
        same_training.keep(home, out / "model", out / "curve", figures)
    assert figures == {"steps": 3}
    print("has it", flush=True)
"""


@contextmanager
def started(name):
    command = [sys.executable, "-c", RUN, name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def files(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_of_two_runs_at_once_one_trains_and_the_other_takes_its_model(in_scratch):
    with started("one") as one:
        assert one.stdout.readline() == "trains\n"
        with started("two") as two:
            while not list(Path("train").glob("key.*.waits")):
                assert two.poll() is None
            Path("go").touch()
            assert one.communicate()[0] == "has it\n"
            assert two.communicate()[0].endswith("has it\n")
    trained = {"model/adapter/weights": "weights", "curve/loss.tsv": "0.5"}
    assert files(Path("one")) == files(Path("two")) == trained
    assert sorted(path.name for path in Path("train").iterdir()) == ["key", "key.lock"]


def test_a_model_that_is_not_as_it_was_left_is_not_taken(in_scratch, capsys):
    (in_scratch / "of/model").mkdir(parents=True)
    (in_scratch / "of/model/weights").write_text("weights")
    (in_scratch / "of/curve").mkdir()
    home = in_scratch / "train/key"
    home.mkdir(parents=True)
    same_training.keep(home, in_scratch / "of/model", in_scratch / "of/curve", {"steps": 3})
    assert same_training.restore(home, Path("a"), Path("b")) == {"steps": 3}
    assert files(Path("a")) == {"weights": "weights"}
    (home / "model/weights").unlink()
    (home / "model/weights").write_text("weightz")
    assert same_training.restore(home, Path("c"), Path("d")) is None
    assert not Path("c").exists()
    assert "not as it was written" in " ".join(capsys.readouterr().out.split())


def test_what_a_process_that_was_killed_had_begun_to_keep_is_replaced(in_scratch):
    home, model, curve = Path("train/key"), Path("out/model"), Path("out/curve")
    model.mkdir(parents=True)
    curve.mkdir()
    (model / "weights").write_text("weights")
    (curve / "loss.tsv").write_text("0.5")
    same_training.keep(home, model, curve, {"steps": 3})
    (home / same_training.FIGURES).unlink()
    assert same_training.restore(home, Path("new/model"), Path("new/curve")) is None
    same_training.keep(home, model, curve, {"steps": 3})
    assert same_training.restore(home, Path("new/model"), Path("new/curve")) == {"steps": 3}


@pytest.fixture
def finished(in_scratch):
    """Finishes a training of a name in a workspace; returns its folder."""

    def finish(name, workspace="."):
        home = in_scratch / "train" / name
        work = in_scratch / workspace
        (work / "out/model").mkdir(parents=True, exist_ok=True)
        (work / "out/curve").mkdir(exist_ok=True)
        (work / "out/model/weights").write_text("weights")
        with contextlib.chdir(work), same_training.turn(home):
            (home / "tokens").mkdir()
            (home / "checkpoint-4").mkdir()
            same_training.keep(home, Path("out/model"), Path("out/curve"), {"steps": 3})
        return home

    return finish


def begin_another(scratch=None):
    home = (scratch or Path.cwd()) / "train/another"
    with same_training.turn(home):
        same_training.remove_finished(home)


def test_a_finished_training_costs_no_disk_beside_its_model(finished, in_scratch):
    home = finished("key")
    assert sorted(path.name for path in home.iterdir()) == [
        "curve",
        "model",
        "trained.json",
        "users",
    ]
    assert (home / "model/weights").samefile("out/model/weights")


def test_what_is_taken_takes_the_place_of_another_model(finished, in_scratch):
    home = finished("key")
    Path("out/model/weights").unlink()
    Path("out/model/adapter").mkdir()
    assert same_training.restore(home, Path("out/model"), Path("out/curve")) == {"steps": 3}
    assert files(Path("out/model")) == {"weights": "weights"}


def test_the_next_training_of_a_workspace_removes_the_last_and_none_that_is_unfinished(finished):
    last, unfinished = finished("last"), finished("unfinished")
    (unfinished / same_training.FIGURES).unlink()
    with same_training.turn(last):
        same_training.remove_finished(last)
    assert last.exists()
    begin_another()
    assert not last.exists()
    assert unfinished.exists()


@pytest.mark.parametrize("ends", ["with another training", "with its folder"])
def test_what_another_workspace_has_taken_stays_until_that_ends(finished, in_scratch, ends):
    home = finished("last")
    (home / "users/.torn").touch()  # of a process that was killed here
    other = in_scratch / "copy-1"
    other.mkdir()
    with contextlib.chdir(other):
        same_training.restore(home, Path("out/model"), Path("out/curve"))
    begin_another()
    assert home.exists()
    if ends == "with its folder":
        other.rename(in_scratch / "copy-2")
        begin_another()
    else:
        with contextlib.chdir(other):
            begin_another(in_scratch)
    assert not home.exists()


def test_what_a_process_waits_for_or_is_at_work_on_is_not_removed(finished, in_scratch):
    home = finished("last")
    with locks.exclusive(home.with_suffix(".lock"), "it"):
        begin_another()
    assert home.exists()
    alive = in_scratch / f"train/last.{socket.gethostname()}.{os.getpid()}.waits"
    alive.touch()
    begin_another()
    assert home.exists()
    alive.unlink()
    begin_another()
    assert not home.exists()


def test_a_process_that_was_killed_while_it_waited_waits_no_more(finished, in_scratch):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    home = finished("last")
    note = in_scratch / f"train/last.{socket.gethostname()}.{ended.pid}.waits"
    note.touch()
    begin_another()
    assert not home.exists()
    assert not note.exists()


def test_a_note_of_another_machine_counts_for_a_day(finished, in_scratch):
    home = finished("last")
    note = in_scratch / "train/last.node-7.another.machine.12.waits"
    note.touch()
    begin_another()
    assert home.exists()
    os.utime(note, (0, 0))
    begin_another()
    assert not home.exists()
    assert not note.exists()
