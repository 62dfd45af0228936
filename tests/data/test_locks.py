"""Locks of two machines: processes of other host names, where `flock` works and where not."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from dataselect.data import locks

pytestmark = pytest.mark.slow

#: What `flock` does on a network file system: all machines see it, none but its own, or it fails.
FLOCK = {
    "seen by all": "",
    "of one machine": "fcntl.flock = lambda *_: None",
    "missing": "fcntl.flock = missing",
}

#: A process of another machine: the arguments are its name, and a file that ends its work.
MACHINE = """
import errno, fcntl, socket, sys, time
from pathlib import Path

def missing(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")

{flock}
socket.gethostname = lambda: sys.argv[1]
from dataselect.data import locks
locks.DURATION, locks.PATIENCE = {duration}, 0.1
with locks.exclusive(Path("the.lock"), "the sum"), open("log", "a") as log:
    print("start", sys.argv[1], file=log, flush=True)
    print("holds", flush=True)
    while not Path(sys.argv[2]).exists():
        time.sleep(0.01)
    print("end", sys.argv[1], file=log, flush=True)
"""


@contextmanager
def machine(name, flock, end, duration=locks.DURATION):
    text = MACHINE.format(flock=FLOCK[flock], duration=duration)
    command, pipe = [sys.executable, "-c", text, name, end], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("flock", FLOCK)
def test_one_machine_waits_for_the_other_and_says_for_which(in_scratch, flock):
    with machine("node7", flock, "end") as first:
        assert first.stdout.readline() == "holds\n"
        with machine("node8", flock, "end") as second:
            line = second.stdout.readline()
            Path("end").touch()
            assert second.stdout.readline() == "holds\n"
            assert (first.wait(), second.wait()) == (0, 0)
    assert line == f"process {first.pid} on node7 is at work on the sum; waiting for it\n"
    log = Path("log").read_text().splitlines()
    assert log == ["start node7", "end node7", "start node8", "end node8"]


def test_the_lock_of_a_machine_that_died_is_taken_after_a_while(in_scratch, monkeypatch, capsys):
    monkeypatch.setattr(locks, "DURATION", 1.5)
    with machine("node7", "missing", "never", duration=1.5) as dead:
        assert dead.stdout.readline() == "holds\n"
        dead.send_signal(signal.SIGKILL)
        dead.wait()
        with locks.exclusive(Path("the.lock"), "the sum", patience=0.1):
            pass
    printed = " ".join(capsys.readouterr().out.split())
    assert printed == f"process {dead.pid} on node7 is at work on the sum; waiting for it"
    assert not Path("the.lease").exists()


def test_a_process_that_stood_still_keeps_a_lock_of_the_system(in_scratch):
    with machine("node7", "seen by all", "end", 1.5) as still:
        assert still.stdout.readline() == "holds\n"
        still.send_signal(signal.SIGSTOP)
        with machine("node7", "seen by all", "end", 1.5) as other:
            assert "is at work on the sum; waiting for it" in other.stdout.readline()
            time.sleep(3)  # twice the lease
            still.send_signal(signal.SIGCONT)
            Path("end").touch()
            assert (still.wait(30), other.wait(30)) == (0, 0)
    assert Path("log").read_text().splitlines() == ["start node7", "end node7"] * 2


def test_a_process_that_stood_still_and_lost_its_lock_ends(in_scratch):
    with machine("node7", "missing", "never", 1.5) as still:
        assert still.stdout.readline() == "holds\n"
        still.send_signal(signal.SIGSTOP)
        with machine("node8", "missing", "end", 1.5) as other:
            while other.stdout.readline() != "holds\n":
                pass
            still.send_signal(signal.SIGCONT)
            assert still.wait(30) == locks.LOST
            assert "lost its lock" in still.stderr.read()
            Path("end").touch()
            assert other.wait() == 0
    assert Path("log").read_text().splitlines() == ["start node7", "start node8", "end node8"]


@pytest.mark.parametrize("flock", FLOCK)
def test_a_lock_that_another_machine_has_is_not_free(in_scratch, flock):
    with machine("node7", flock, "end") as first:
        assert first.stdout.readline() == "holds\n"
        with locks.if_free(Path("the.lock")) as is_free:
            assert not is_free
        Path("end").touch()
        first.wait()
    with locks.if_free(Path("the.lock")) as is_free:
        assert is_free
