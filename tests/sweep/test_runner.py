"""Runs of a sweep one after the other and several at a time; a failure stops no other."""

import _thread
import threading
from types import SimpleNamespace

import pytest

from dataselect.sweep.runner import Clock, log_of, run_all
from dataselect.sweep.workspace import RunFailed

RUNS = [SimpleNamespace(name=f"run-{number}") for number in range(6)]


def ignore(planned):
    """Says nothing of a run that starts."""


class Fake:
    """A workspace that notes its runs."""

    def __init__(self, done, failing=()):
        self.done, self.failing, self.stopped = done, failing, False

    def run(self, planned, log):
        assert log == log_of(planned)
        assert log.parent.is_dir()
        self.done.append(planned.name)
        if planned.name in self.failing:
            raise RunFailed("no rows")

    def stop(self):
        self.stopped = True


@pytest.mark.parametrize("workers", [1, 3])
def test_a_failed_run_is_reported_and_the_others_go_on(workers, in_scratch, capsys):
    done = []
    workspaces = [Fake(done, ["run-1", "run-4"]) for _ in range(workers)]
    clock = Clock(10, 6, workers)
    failed = run_all(RUNS, workspaces, clock.started, clock.ended)
    assert clock.done == 8
    assert failed == {"run-1": "no rows", "run-4": "no rows"}
    assert sorted(done) == [run.name for run in RUNS]
    if workers == 1:
        assert done == [run.name for run in RUNS]
        printed = capsys.readouterr().out
        assert "\n6 of 10: run-1 runs; output: .dvc/tmp/sweep/logs/run-1.log\n" in printed
        assert "\n6 of 10: run-1: failed; about" in printed
        assert " left\n  no rows\n" in printed
        assert printed.splitlines()[-1].startswith("10 of 10: run-5: ")


def test_the_first_of_several_at_a_time_runs_before_all_others(in_scratch):
    first_ended = threading.Event()

    class Strict(Fake):
        def run(self, planned, log):
            assert planned.name == "run-0" or first_ended.is_set()
            super().run(planned, log)

    def ended(planned, seconds, reason):
        first_ended.set()

    assert run_all(RUNS, [Strict([]), Strict([])], ignore, ended) == {}


def test_when_it_is_stopped_so_are_its_workspaces(in_scratch):
    def ended(planned, seconds, reason):
        raise KeyboardInterrupt

    workspace = Fake([])
    with pytest.raises(KeyboardInterrupt):
        run_all(RUNS, [workspace], ignore, ended)
    assert workspace.stopped


@pytest.mark.parametrize("workers", [1, 3])
def test_after_a_run_that_ctrl_c_ended_no_other_begins(workers, in_scratch, capsys):
    done = []

    class Interrupted(Fake):
        def run(self, planned, log):
            super().run(planned, log)
            if planned.name == "run-0":
                raise KeyboardInterrupt

    workspaces = [Interrupted(done) for _ in range(workers)]
    clock = Clock(6, 6, workers)
    with pytest.raises(KeyboardInterrupt):
        run_all(RUNS, workspaces, clock.started, clock.ended)
    assert done == ["run-0"]
    assert all(workspace.stopped for workspace in workspaces)
    assert clock.done == 0
    assert "run-1" not in capsys.readouterr().out


def test_a_run_that_fails_at_ctrl_c_is_no_failed_one(in_scratch, capsys):
    done = []

    class Interrupted(Fake):
        def run(self, planned, log):
            super().run(planned, log)
            _thread.interrupt_main()
            raise RunFailed("a file half written")

    clock = Clock(6, 6, 1)
    with pytest.raises(KeyboardInterrupt):
        run_all(RUNS, [Interrupted(done)], clock.started, clock.ended)
    assert done == ["run-0"]
    assert "failed" not in capsys.readouterr().out
