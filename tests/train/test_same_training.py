"""Two runs that want the same training at once: one trains, the other takes what it has trained."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from dataselect.train import same_training

RUN = """
import json, sys, time
from pathlib import Path
from dataselect.train import same_training

home, out = Path("train/key"), Path(sys.argv[1])
home.mkdir(parents=True, exist_ok=True)
with same_training.turn(home) as others_wait:
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
    print("others wait" if others_wait() else "no one waits", flush=True)
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
            assert one.communicate()[0] == "others wait\n"
            assert two.communicate()[0].endswith("no one waits\n")
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


def test_a_process_that_was_killed_while_it_waited_waits_no_more(in_scratch):
    home = in_scratch / "key"
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    (in_scratch / f"key.{os.uname().nodename}.{ended.pid}.waits").touch()
    with same_training.turn(home) as others_wait:
        assert not others_wait()
        (in_scratch / "key.another.machine.1.waits").touch()
        assert others_wait()


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


def test_a_note_of_another_machine_counts_for_a_day(in_scratch):
    home = Path("train/key")
    home.mkdir(parents=True)
    note = home.with_name(f"{home.name}.node-7.12.waits")
    note.touch()
    with same_training.turn(home) as others_wait:
        assert others_wait()
        os.utime(note, (0, 0))
        assert not others_wait()
    assert not note.exists()
