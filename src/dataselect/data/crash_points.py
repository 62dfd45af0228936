"""Ends a run, or fails a call of it, at the n-th change that it makes to the project's files.

`DATASELECT_FAIL_AT=7 python stages/dedup.py` ends the process at the seventh, as SIGKILL would;
`7:EIO` fails that call; `7:ENOSPC` fails it and all later ones that need room, as a disk that is
full stays full; from `7:EINTR` on a signal comes every millisecond, which Python and the libraries
must live with. Tests do this for every number. (SQLite's way: kills at random moments rarely hit
the one that matters.)

Python's audit events count what libraries do, too: files that are opened for writing, renames,
links, removals, folders and locks. What other languages write counts where `files` renames it, as
`dataselect.write`: there the file is cut in half. Only files of the project's folder count, and
only what the stage's own process does.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from dataselect.data.files import repo_root
from dataselect.errors import InputError

#: The environment variable that names the point.
FAIL_AT = "DATASELECT_FAIL_AT"

#: The exit status of a process that is ended: that of one that SIGKILL ended.
KILLED = 137

#: What changes files, and of each the place of a folder's descriptor among its arguments.
FOLDERS: dict[str, int | None] = {
    "open": None, "fcntl.flock": None, "os.rename": 2, "os.link": 2,
    "os.mkdir": 2, "os.remove": 1, "os.rmdir": 1, "os.truncate": None,
    "dataselect.write": None, "dataselect.sync": None,
}  # fmt: skip

#: What a full disk lets happen.
FREES = ("os.remove", "os.rmdir", "os.truncate", "fcntl.flock")


def start(setting: str) -> None:
    """Counts from here on, in this process.

    Args:
        setting: `7`, `7:ENOSPC`, `7:EIO` or `7:EINTR`.

    Raises:
        InputError: it is none of these.
    """
    number, _, kind = setting.partition(":")
    if not number.isdigit() or kind not in ("", "ENOSPC", "EIO", "EINTR"):
        raise InputError(
            f"{FAIL_AT}: expected a number, like `7`, or `7:ENOSPC`, `7:EIO`, `7:EINTR`; found "
            f"`{setting}`. Fix it, or unset it: it is for tests."
        )
    if kind == "EINTR":
        signal.signal(signal.SIGALRM, lambda *_: None)
    root, last, count = str(repo_root()), int(number), itertools.count(1)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in FOLDERS or (path := _path(event, arguments)) is None:
            return
        if not f"{path}/".startswith(f"{root}/"):
            return
        passed = next(count)
        if passed == last:
            os.write(2, f"crash point {passed}: {event} {path}\n".encode())
            _fail(kind, event, path)
        elif passed > last and kind == "ENOSPC" and event not in FREES:
            raise _error("ENOSPC", path)

    sys.addaudithook(hook)


def _fail(kind: str, event: str, path: str) -> None:
    if kind == "EINTR":
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    elif kind == "EIO" or (kind == "ENOSPC" and event not in FREES):
        raise _error(kind, path)
    elif not kind:
        _end(path if event == "dataselect.write" else None)


def _end(torn: str | None) -> NoReturn:
    if torn:
        handle = os.open(torn, os.O_WRONLY)  # counts as a point, which is past the last one
        os.ftruncate(handle, os.fstat(handle).st_size // 2)
    os._exit(KILLED)


def _error(kind: str, path: str) -> OSError:
    code = getattr(errno, kind)
    return OSError(code, os.strerror(code), path)


def _path(event: str, arguments: tuple[Any, ...]) -> str | None:
    """What an event changes; None where it changes nothing."""
    first = arguments[0]
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return None
    if event == "fcntl.flock":
        import fcntl

        return None if arguments[1] & fcntl.LOCK_UN else _of_descriptor(first)
    if isinstance(first, int):  # a file that is open already
        return None if event == "open" else _of_descriptor(first)
    place = FOLDERS[event]
    folder = arguments[place] if place is not None else -1
    base = _of_descriptor(folder) if folder >= 0 else os.getcwd()  # noqa: PTH109
    return os.path.normpath(os.path.join(base, os.fsdecode(first)))  # noqa: PTH118


def _of_descriptor(number: int) -> str:
    """The path of an open file, where the system tells; else of the working directory."""
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink())
    except OSError:
        return os.getcwd()  # noqa: PTH109
