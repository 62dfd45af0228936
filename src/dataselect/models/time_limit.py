"""Ends a chat template that renders for too long, in whatever thread it does."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock, Thread, get_ident

#: Between two looks at what is being rendered, and how many of them find the same conversation
#: before it is ended. (Looks, not a time: a process that is stopped for an hour is not late.)
SECONDS = 1.0
LOOKS = 10


class TooLong(Exception):
    """A template renders one conversation for too long."""


class TimeLimit:
    """Watches work of one thread at a time from another thread, which lives while there is work.

    It ends Python code only: a single operation within Python, such as a power of enormous
    numbers, goes on.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._number = 0
        self._worker: int | None = None
        self._ended = False
        self._watcher: Thread | None = None

    @contextmanager
    def watched(self) -> Generator[None]:
        """Raises `TooLong` in the body where it takes `SECONDS` × `LOOKS`, or a little longer."""
        with self._lock:
            self._number += 1
            self._worker, self._ended = get_ident(), False
            # A process that was forked has no thread but the one that forked it.
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = Thread(target=self._watch, name="template", daemon=True)
                self._watcher.start()
        try:
            yield
        finally:
            self._worker = None
            with self._lock:
                if self._ended:  # it may be on its way still: not into what comes after
                    _raise_in(get_ident(), None)

    def _watch(self) -> None:
        seen, looks = -1, 0
        while True:
            time.sleep(SECONDS)
            with self._lock:
                if self._worker is None and self._number == seen:
                    self._watcher = None
                    return
                looks = looks + 1 if self._number == seen and self._worker is not None else 0
                seen = self._number
                worker = self._worker
                if looks >= LOOKS and worker is not None:
                    # Again at each look: in a finaliser, an error is printed and lost.
                    self._ended = True
                    _raise_in(worker, TooLong)


def _raise_in(thread: int, error: type[Exception] | None) -> None:
    """Raises an error in a thread at its next step of Python; None: takes back what is to come."""
    set_error = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_error(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
