"""Progress of work that runs elsewhere: in other processes, or on other machines."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Event, Thread

from dataselect.report import Progress

#: Seconds between two looks at how far the workers are.
EVERY = 0.5


@contextmanager
def follow(rows_done: Callable[[], float], progress: Progress) -> Generator[None]:
    """Passes on, twice a second and at the end, how many more rows are done.

    Args:
        rows_done: how many rows the workers have done so far; parts of a row count. Called in a
            thread. It may fall where lost work is done again; `progress` then waits.
        progress: called in that thread.
    """
    stop, shown = Event(), 0.0

    def update() -> None:
        nonlocal shown
        if (done := rows_done()) > shown:
            progress(done - shown)
            shown = done

    def look() -> None:
        while not stop.wait(EVERY):
            update()

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    update()
