"""Runs generated programs under bubblewrap: they see Python and nothing of this machine.

A program has namespaces of its own (no network, no other process), an empty environment, Python's
own files to read, small folders in memory to write, and limits on all that it could use up. It runs
as `nobody`: where we are root also as seen from outside, since the limit on processes and the
rights in /proc/sys go by that.
"""

from __future__ import annotations

import fcntl
import math
import os
import selectors
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataselect.errors import InputError

#: User and group inside; also outside, where we are root.
NOBODY = 65534

#: Printed before a program runs: without it, it is the sandbox that has failed.
STARTED = b"started\n"

#: What Python runs inside: a limit's name and size follow each other in its arguments. The program
#: is read whole before it begins, so its own standard input is empty.
BOOTSTRAP = """
import os, resource, sys
for name, limit in zip(sys.argv[1::2], sys.argv[2::2]):
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (int(limit), int(limit)))
program = sys.stdin.buffer.read()
os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
os.write(1, b"started\\n")
os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
sys.argv = ["program.py"]
exec(compile(program, "program.py", "exec", dont_inherit=True), {"__name__": "__main__"})
"""

#: The whole environment inside. Hashes are not random: equal programs print equal things.
ENVIRONMENT = {
    "HOME": "/home",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Attributes:
        seconds: CPU time of a process. By the clock the program may last four times as long.
        memory_bytes: address space of a process.
        processes: processes and threads at a time, one of them the sandbox's own.
        disk_bytes: what each folder that it can write holds, and each file.
        output_bytes: what it may print.
    """

    seconds: float = 5
    memory_bytes: int = 1 << 30
    processes: int = 8
    disk_bytes: int = 16 << 20
    output_bytes: int = 1 << 16


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        succeeded: it ended by itself, with status 0 and within all limits.
        output: what it printed, up to the limit.
    """

    succeeded: bool
    output: str


def run_program(program: str, limits: Limits | None = None) -> Outcome:
    """Runs a Python program that is not trusted.

    Args:
        program: its text.
        limits: what it may use; None: the defaults of `Limits`.

    Raises:
        InputError: bubblewrap is not installed, or cannot set up the sandbox.
    """
    limits = limits or Limits()
    command, source = _command(limits), _sealed_file(program.encode(errors="replace"))
    as_root: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    try:
        process = subprocess.Popen(
            command,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},  # bubblewrap's own process can be seen from inside
            cwd="/",
            start_new_session=True,
            **(as_root if os.geteuid() == 0 else {}),
        )
    except OSError as error:
        raise _not_started(str(error)) from None
    finally:
        os.close(source)
    most_bytes, deadline = len(STARTED) + limits.output_bytes, time.monotonic() + 4 * limits.seconds
    with process:
        try:
            output = _read(process, most_bytes, deadline)
            status = _wait(process, deadline) if len(output) <= most_bytes else None
        finally:
            process.kill()  # and with it all that it has started: at its end, the pipe is closed
            _read(process, math.inf, time.monotonic() + 10)
        if not output.startswith(STARTED):
            raise _not_started(process.stderr.read(1000).decode(errors="replace"))  # ty: ignore
    text = output[len(STARTED) : most_bytes].decode(errors="replace")
    return Outcome(succeeded=status == 0, output=text)


def check_sandbox() -> None:
    """Runs a program that does nothing.

    Raises:
        InputError: bubblewrap is not installed, or cannot set up the sandbox.
    """
    run_program("")


def _read(process: subprocess.Popen, most_bytes: float, deadline: float) -> bytes:
    """What a process prints until it ends, the deadline passes or it is more than `most_bytes`."""
    stream = process.stdout.fileno()  # ty: ignore
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while len(output) <= most_bytes and selector.select(max(deadline - time.monotonic(), 0)):
            block = os.read(stream, 1 << 16)
            if not block:
                break
            output += block
    return output


def _wait(process: subprocess.Popen, deadline: float) -> int | None:
    """The status with which a process ends; None where it does not by the deadline."""
    try:
        return process.wait(max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        return None


def _sealed_file(content: bytes) -> int:
    """A file in memory, open for reading at its start, that can't be written to any more."""
    file = os.memfd_create("program", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    with open(file, "wb", closefd=False) as stream:
        stream.write(content)
    os.lseek(file, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file


def _command(limits: Limits) -> list[str]:
    """bubblewrap, with a Python inside that waits for a program on its standard input."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise InputError(
            "eval.run_code: bubblewrap, in which generated programs run, is not installed. Install "
            "it on this Linux machine (`apt-get install bubblewrap`, `dnf install bubblewrap`), or "
            "leave out the tests that run programs."
        )
    python, folder = _python()
    size = str(limits.disk_bytes)
    seconds, user = str(math.ceil(limits.seconds)), str(NOBODY)
    arguments = ["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    arguments += ["--uid", user, "--gid", user, "--new-session", "--die-with-parent"]
    arguments += ["--clearenv", "--hostname", "sandbox", "--ro-bind", "/usr", "/usr"]
    for name, value in ENVIRONMENT.items():
        arguments += ["--setenv", name, value]
    for path in map(Path, ("/bin", "/lib", "/lib64")):
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        else:
            arguments += ["--ro-bind-try", str(path), str(path)]
    arguments += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
    for path in ("/dev/shm", "/home", "/tmp"):
        arguments += ["--size", size, "--tmpfs", path]
    if folder:  # after these, as it may be in somebody's home
        arguments += ["--ro-bind", folder, folder]
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    arguments += ["--", python, "-s", "-c", BOOTSTRAP, "CPU", seconds, "FSIZE", size, "CORE", "0"]
    arguments += ["AS", str(limits.memory_bytes), "NPROC", str(limits.processes), "NOFILE", "64"]
    return [bwrap, *arguments]


def _python() -> tuple[str, str | None]:
    """The system's own Python, which /usr holds; else the one that runs us, and its folder."""
    system = Path("/usr/bin/python3")
    if system.resolve().is_relative_to("/usr") and system.exists():
        return str(system), None
    base = Path(sys.base_prefix).resolve()
    return str(base / "bin" / "python3"), None if base.is_relative_to("/usr") else str(base)


def _not_started(reason: str) -> InputError:
    found = " ".join(reason.split()) or "nothing was printed in time"
    return InputError(
        "eval.run_code: bubblewrap cannot set up the sandbox, in which generated programs run: "
        f"{found:.300}. It needs version 0.8 or later, user namespaces (`sysctl "
        "user.max_user_namespaces`; on Ubuntu also `kernel.apparmor_restrict_unprivileged_userns=0`"
        "; in a container also `--security-opt seccomp=unconfined`), and a `python3` that every "
        "user may read. Enable them, or leave out the tests that run programs."
    )
