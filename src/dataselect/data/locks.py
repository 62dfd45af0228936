"""Locks between processes, also of several machines that share a folder.

The system's own lock is strict, but some network file systems have none, or keep it to one machine.
So around it stands a lease: a file beside the lock that names its machine and process, and that a
thread touches every few seconds. It counts as free where that process is dead, or, where it is
another machine's, when nothing has touched the file for DURATION.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, LeaseCompromise, SoftFileLease, Timeout

from dataselect import report

#: Seconds after which a lease that nothing has touched is another's to take.
DURATION = 30.0

#: Times within DURATION that a lease is touched, and that its process sees whether it still has it.
TOUCHES = 15

#: Seconds of waiting after which is printed for whom.
PATIENCE = 5.0

#: The exit status of a process that has lost a lease.
LOST = 75

#: What a file system answers that has no locks.
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


class Holder(NamedTuple):
    """Who has a lock.

    Attributes:
        process: its id.
        machine: the name of its machine; empty where it is this one.
    """

    process: int
    machine: str

    def __str__(self) -> str:
        return f"process {self.process}" + (f" on {self.machine}" if self.machine else "")


#: Who has a lock, None where that is not known → what to print.
WaitingMessage = Callable[[Holder | None], str]


@contextmanager
def exclusive(
    path: Path, purpose: str | WaitingMessage, patience: float | None = None
) -> Generator[None]:
    """Waits for a lock, and holds it. A process that loses it, as it stood still, is ended.

    Args:
        path: its file, which stays; the lease beside it, `.lease`, does not.
        purpose: what is done under the lock, or what to print of its holder once it has waited.
        patience: after so many seconds; None: PATIENCE.
    """
    lock, lease = _locks(path)
    try:
        # First: it has no term, so a process that was only stopped keeps it.
        try:
            _acquire(lock, lease, purpose, patience)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        _acquire(lease, lease, purpose, patience)
        yield
    finally:
        lock.release()
        lease.release()


@contextmanager
def if_free(path: Path) -> Generator[bool]:
    """Holds a lock if no other process has it, and waits for none; yields whether it holds it.

    Args:
        path: its file, as of `exclusive`.
    """
    locks = _locks(path)
    try:
        yield all(_is_acquired(lock) for lock in locks)
    finally:
        for lock in locks:
            lock.release()


def _is_acquired(lock: FileLock | SoftFileLease) -> bool:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _locks(path: Path) -> tuple[FileLock, SoftFileLease]:
    lease = SoftFileLease(
        path.with_suffix(".lease"),
        lease_duration=DURATION,
        heartbeat_interval=DURATION / TOUCHES,
        on_compromise=_end_this_process,
    )
    return FileLock(path, fallback_to_soft=False), lease


def _acquire(
    lock: FileLock | SoftFileLease,
    lease: SoftFileLease,
    purpose: str | WaitingMessage,
    patience: float | None,
) -> None:
    try:
        lock.acquire(timeout=PATIENCE if patience is None else patience)
    except Timeout:
        report.console.print(_message(purpose, _holder(lease)), markup=False, highlight=False)
        lock.acquire()


def _message(purpose: str | WaitingMessage, holder: Holder | None) -> str:
    if isinstance(purpose, str):
        return f"{holder or 'another process'} is at work on {purpose}; waiting for it"
    return purpose(holder)


def _holder(lease: SoftFileLease) -> Holder | None:
    owner = lease.owner
    if owner is None or lease.is_lock_held_by_us:
        return None
    machine = owner.hostname.partition("?")[0]  # behind it stands a container's number
    return Holder(owner.pid, "" if machine == socket.gethostname() else machine)


def _end_this_process(lost: LeaseCompromise) -> None:
    """Leaves the field to the process that has taken the lease: two would write the same files."""
    sys.stderr.write(
        f"\ndataselect: {Path(lost.lock_file).name}: this process stood still for over "
        f"{DURATION:g} s, or could not reach the folder, and lost its lock; another one may have "
        "gone on. Finished work is kept: run the command again.\n\n"
    )
    sys.stderr.flush()
    os._exit(LOST)
