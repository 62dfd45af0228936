"""What the tests of training share."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file

from dataselect.data import files
from dataselect.train.run import TrainSection, train
from dataselect.train.same_training import FIGURES
from tests.helpers import MODEL


def trained(path, name, model=MODEL, *, recipe, **settings):
    """Trains on a file, whatever is finished already; returns what was done, and the weights."""
    forget_finished()
    out = path.parent / name
    section = TrainSection(model, replace(recipe, **settings), "code")
    done = train(section, path, out, path.parent / f"{name}-curve")
    return done, load_file(out / "model.safetensors")


def forget_finished():
    """Removes the figures of finished trainings, so that the same one is done again."""
    for figures in (files.scratch_folder() / "train").glob(f"*/{FIGURES}"):
        figures.unlink()


def one_thread():
    """The environment of a process that computes with one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def kill_at_checkpoint(command, home, steps):
    """Starts a command, and kills it when it has a checkpoint; `steps`: a pattern of its step."""
    process = subprocess.Popen(command, env=one_thread())
    deadline = time.monotonic() + 120
    while not list(Path(home).glob(f"*/checkpoint-{steps}/checksums.json")):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def resume(command):
    """Runs a command that was killed, which goes on; what its last line holds, as JSON."""
    done = subprocess.run(command, check=True, env=one_thread(), stdout=subprocess.PIPE, text=True)
    assert "continues from step " in done.stdout
    return json.loads(done.stdout.splitlines()[-1])
