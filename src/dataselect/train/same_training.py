"""What a finished training leaves, for a run that wants the same one.

DVC's run cache knows a model only once its stage has ended and DVC has stored it. A run that is
killed before, and one that was at the same training at the same time, take the model from the
scratch folder: there it stays, by links, until the next training of its workspace begins.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dataselect.data import checksums, files, locks

#: In the folder of a training: its model and loss curve, the file with its figures, and a folder
#: with a file for each workspace that has trained or taken it.
MODEL, CURVE, FIGURES, USERS = "model", "curve", "trained.json", "users"

#: Seconds after which a note of another machine counts as left by a process that has died.
LONGEST_WAIT = 86_400.0


@contextmanager
def turn(home: Path) -> Generator[None]:
    """Waits for a process at the same training.

    Args:
        home: the folder of the training, whose path names all that decides it; is made.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    note = home.with_name(f"{home.name}.{socket.gethostname()}.{os.getpid()}.waits")
    note.touch()
    try:
        with locks.exclusive(home.with_suffix(".lock"), "the same training"):
            note.unlink(missing_ok=True)
            home.mkdir(exist_ok=True)
            yield
    finally:
        note.unlink(missing_ok=True)


def remove_finished(home: Path) -> None:
    """Removes the finished trainings beside one that begins, as far as no other run needs them.

    One is needed while a process is at work on it or waits for it; or while another workspace has
    trained or taken it last, whose DVC may not have stored its model yet.
    """
    for figures in home.parent.glob(f"*/{FIGURES}"):
        if figures.parent != home:
            with suppress(PermissionError):  # of another user
                _remove_if_free(figures.parent)


def _remove_if_free(home: Path) -> None:
    _note_of_use(home).unlink(missing_ok=True)  # this workspace goes on to another training
    with locks.if_free(home.with_suffix(".lock")) as is_free:
        still = (home / FIGURES).exists()  # another process may have removed it
        if is_free and still and not _is_awaited(home) and not _is_used_elsewhere(home):
            # The figures go last: after a kill here, the next training removes the rest.
            shutil.rmtree(home / MODEL, ignore_errors=True)
            shutil.rmtree(home)


def _is_awaited(home: Path) -> bool:
    return any(map(_is_alive, home.parent.glob(f"{home.name}.*.waits")))


def _is_used_elsewhere(home: Path) -> bool:
    """Whether a workspace that is still there has trained or taken it, and begun no other."""
    folders = [Path(os.fsdecode(path.read_bytes())) for path in (home / USERS).glob("[!.]*")]
    return any(folder.is_dir() for folder in folders)


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
    """Leaves what was trained, and its figures, in place of checkpoints and tokens."""
    for name in (MODEL, CURVE):  # of a process that was killed here
        shutil.rmtree(home / name, ignore_errors=True)
    _link(model, home / MODEL)
    shutil.copytree(curve, home / CURVE)  # not linked: its files are written in place
    for name in (MODEL, CURVE):
        checksums.seal(home / name, home / name)
    _note_use(home)
    checksums.write_checked(home / FIGURES, figures)
    _remove_others(home)


def restore(home: Path, model: Path, curve: Path) -> dict[str, Any] | None:
    """Puts into place what a run has trained; its figures, None if there is nothing."""
    figures = checksums.read_checked(home / FIGURES)
    if figures is None or not all(checksums.is_sealed(home / name) for name in (MODEL, CURVE)):
        (home / FIGURES).unlink(missing_ok=True)
        return None
    _note_use(home)
    partial = files.partial_folder(model)
    shutil.rmtree(partial, ignore_errors=True)  # of a killed run
    _link(home / MODEL, partial)
    files.sync_folder(partial)
    files.rename_folder(partial, model)
    shutil.copytree(home / CURVE, curve, dirs_exist_ok=True, ignore=lambda *_: [checksums.SEAL])
    _remove_others(home)
    return figures


def _note_use(home: Path) -> None:
    """Notes that this workspace needs a training, until its next one begins."""
    with files.atomic_write(_note_of_use(home)) as temporary:
        temporary.write_bytes(os.fsencode(Path.cwd()))


def _note_of_use(home: Path) -> Path:
    """The file that holds the path of this workspace, the working directory."""
    return home / USERS / files.content_key(str(Path.cwd()))


def _remove_others(home: Path) -> None:
    """Removes what only a training that goes on would need."""
    for path in home.iterdir():
        if path.is_dir() and path.name not in (MODEL, CURVE, USERS):
            shutil.rmtree(path)


def _link(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and path != source / checksums.SEAL:
            files.hardlink_or_copy(path, target / path.relative_to(source))
