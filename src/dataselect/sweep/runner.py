"""Runs what is missing of a sweep, one or several at a time."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

from dataselect import report
from dataselect.errors import InputError
from dataselect.sweep.order import Planned
from dataselect.sweep.repository import HOME
from dataselect.sweep.workspace import RunFailed, Workspace

#: Where the output of each run is kept, by its name.
LOGS = HOME / "logs"

#: Called before each run, in the thread that runs it.
Started = Callable[[Planned], None]

#: Called after each run, in its thread: the run, the seconds that it took, and why it failed.
Ended = Callable[[Planned, float, str | None], None]

#: Runs a run: why it failed.
Run = Callable[[Planned], str | None]

#: Seconds after which the main thread looks for Ctrl-C, and which a failed run gives it for that.
LOOK, WAIT = 0.1, 0.5


def run_all(
    runs: list[Planned], workspaces: list[Workspace], started: Started, ended: Ended
) -> dict[str, str]:
    """Runs all, in order, as many at a time as there are workspaces.

    Args:
        started: called one at a time with `ended`, in the run's thread.
        ended: likewise.

    Returns:
        Of the runs that failed, name → the first line of the error.

    Raises:
        KeyboardInterrupt: the user stopped it, or a run; no further run has begun.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    run = _runner(workspaces, started, ended, stopping)
    with ThreadPoolExecutor(len(workspaces)) as pool:
        try:
            # What all share, such as the pool, is computed once: the first run goes before.
            first = runs[:1] if len(workspaces) > 1 else []
            return {
                name: reason
                for part in (first, runs[len(first) :])
                for name, reason in _failed(part, pool, run)
            }
        except BaseException:
            stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for workspace in workspaces:
                workspace.stop()
            raise


def _runner(
    workspaces: list[Workspace], started: Started, ended: Ended, stopping: threading.Event
) -> Run:
    """A function that runs a run in a workspace that is free; none once it is stopping."""
    free: queue.SimpleQueue[Workspace] = queue.SimpleQueue()
    for workspace in workspaces:
        free.put(workspace)
    one_at_a_time = threading.Lock()

    def run(planned: Planned) -> str | None:
        if stopping.is_set():
            raise KeyboardInterrupt
        workspace = free.get()
        start = time.monotonic()
        try:
            with one_at_a_time:
                started(planned)
            reason = _reason(workspace, planned)
            # What DVC says of Ctrl-C differs; the main thread knows.
            if reason is not None and stopping.wait(WAIT):
                raise KeyboardInterrupt
            with one_at_a_time:
                ended(planned, time.monotonic() - start, reason)
        except BaseException:
            stopping.set()  # here, because this thread takes the next run before the main one wakes
            raise
        finally:
            free.put(workspace)
        return reason

    return run


def _reason(workspace: Workspace, planned: Planned) -> str | None:
    """Runs a run, and says why it failed."""
    log = log_of(planned)
    log.unlink(missing_ok=True)
    try:
        workspace.run(planned, log)
    except (RunFailed, InputError) as error:
        return str(error)
    return None


def _failed(runs: list[Planned], pool: ThreadPoolExecutor, run: Run) -> Iterator[tuple[str, str]]:
    futures = {pool.submit(run, planned): planned for planned in runs}
    left = set(futures)
    while left:
        # Where another thread gets the signal, the main one sees Ctrl-C only once it wakes.
        finished, left = wait(left, timeout=LOOK, return_when=FIRST_COMPLETED)
        for future in finished:
            reason = future.result()
            if reason is not None:
                yield futures[future].name, reason


def log_of(planned: Planned) -> Path:
    """The file that holds what a run printed last."""
    return LOGS / f"{planned.name}.log"


class Clock:
    """Says of each run that it starts and ends, and about how long the sweep will still take.

    Args:
        total: the runs of the sweep.
        missing: those that are run now.
        workers: how many at a time.

    Attributes:
        done: the runs of the sweep that are done.
    """

    def __init__(self, total: int, missing: int, workers: int) -> None:
        self._total, self._missing, self._workers = total, missing, workers
        self._seconds: list[float] = []
        self._numbers = itertools.count(total - missing + 1)
        self.done = total - missing

    def started(self, planned: Planned) -> None:
        """Prints a line for a run that starts."""
        number = next(self._numbers)
        _print_line(f"{number} of {self._total}: {planned.name} runs; output: {log_of(planned)}")

    def ended(self, planned: Planned, seconds: float, reason: str | None) -> None:
        """Prints a line for a run that has ended, and below it why it failed."""
        self._seconds.append(seconds)
        left = self._missing - len(self._seconds)
        text = f"{self._total - left} of {self._total}: {planned.name}: "
        text += "failed" if reason else report.format_seconds(seconds)
        self.done += not reason
        if left:
            expected = sum(self._seconds) / len(self._seconds) * left / self._workers
            text += f"; about {report.format_seconds(expected)} left"
        _print_line(f"{text}\n  {reason}" if reason else text)


def _print_line(text: str) -> None:
    report.console.print(text, markup=False, highlight=False, soft_wrap=True)
