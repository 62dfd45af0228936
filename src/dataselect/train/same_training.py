"""Two runs that want the same training at the same time: one trains, the other takes its model.

DVC's run cache knows a model only once its stage has ended. So a run that finds the training at
work leaves a note that it waits; where there is one, the model stays in the scratch folder, by
links, until all who wait have it.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dataselect.data import checksums, files, locks

#: In the folder of a training: its model and loss curve, and the file with its figures.
MODEL, CURVE, FIGURES = "model", "curve", "trained.json"

#: Seconds after which a note of another machine counts as left by a process that has died.
LONGEST_WAIT = 86_400.0


@contextmanager
def turn(home: Path) -> Generator[Callable[[], bool]]:
    """Waits for a process at the same training; yields a function: whether others wait now.

    Args:
        home: the folder of the training, whose path names all that decides it.
    """
    note = home.with_name(f"{home.name}.{socket.gethostname()}.{os.getpid()}.waits")
    note.touch()
    try:
        with locks.exclusive(home.with_suffix(".lock"), "the same training"):
            note.unlink(missing_ok=True)
            yield lambda: any(map(_is_alive, home.parent.glob(f"{home.name}.*.waits")))
    finally:
        note.unlink(missing_ok=True)


def _is_alive(note: Path) -> bool:
    """Whether the process that left a note is there; of another machine it is, for a day."""
    import psutil

    machine, process, _ = note.name.partition(".")[2].rsplit(".", 2)  # names may have dots
    if machine != socket.gethostname():
        with suppress(OSError):
            if time.time() - note.stat().st_mtime < LONGEST_WAIT:
                return True
    elif psutil.pid_exists(int(process)):
        return True
    note.unlink(missing_ok=True)
    return False


def keep(home: Path, model: Path, curve: Path, figures: dict[str, Any]) -> None:
    """Leaves what was trained, and its figures, for those who wait."""
    for name in (MODEL, CURVE):  # of a process that was killed here
        shutil.rmtree(home / name, ignore_errors=True)
    _link(model, home / MODEL)
    shutil.copytree(curve, home / CURVE)  # not linked: its files are written in place
    for name in (MODEL, CURVE):
        checksums.seal(home / name, home / name)
    checksums.write_checked(home / FIGURES, figures)


def restore(home: Path, model: Path, curve: Path) -> dict[str, Any] | None:
    """Puts into place what another process has trained; its figures, None if there is nothing."""
    figures = checksums.read_checked(home / FIGURES)
    if figures is None or not all(checksums.is_sealed(home / name) for name in (MODEL, CURVE)):
        return None
    _link(home / MODEL, model)
    shutil.copytree(home / CURVE, curve, dirs_exist_ok=True, ignore=lambda *_: [checksums.SEAL])
    return figures


def _link(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and path != source / checksums.SEAL:
            files.hardlink_or_copy(path, target / path.relative_to(source))
