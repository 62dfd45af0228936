"""One case: a project in a temporary folder, a guard around it, and stages that run in it.

A stage may finish, or refuse its input with one message. All else fails the case: a traceback, a
hang, a file touched outside the project, a connection, a new process, a part of a file left over.
"""

import contextlib
import faulthandler
import functools
import io
import os
import runpy
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import pytest

from dataselect.errors import InputError
from dataselect.plan import run as plan_run
from tests.helpers import ROOT, user_folder

#: The most processor seconds of a stage; and seconds, which a busy machine decides too. Then the
#: process is ended, with the place where it hangs, because no Python code runs any more.
BUSY, WAITING, STUCK = 10, 300, 600

#: What a message may be long, in characters.
LONGEST_MESSAGE = 4_100

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Events of Python's audit hooks that change a path, and how many paths they name.
CHANGES = {"os.mkdir": 1, "os.rmdir": 1, "os.remove": 1, "os.rename": 2, "os.link": 2}
CHANGES |= {"os.symlink": 2, "os.truncate": 1, "os.chmod": 1, "os.chown": 1, "os.utime": 1}
#: Events that no stage of these needs.
FORBIDDEN = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")
FORBIDDEN += ("socket.connect", "socket.getaddrinfo", "socket.sendto")


class Hang(BaseException):
    """A stage has run for too long."""


class Guard:
    """Notes what is done outside a folder while it is on; hooks cannot be removed."""

    def __init__(self):
        self.folder, self.seen = None, []

    def __call__(self, event, args):
        if self.folder is None:
            return
        if event in FORBIDDEN:
            self.seen.append(f"{event} {args!r:.200}")
        elif event == "open" and isinstance(args[2], int) and args[2] & WRITES:
            self._check(event, args[0])
        elif event in CHANGES:
            for number in range(CHANGES[event]):
                self._check(event, args[number], args[-1])

    def _check(self, event, path, folder_fd=-1):
        if isinstance(path, int | type(None)):
            return
        path = Path(os.fsdecode(path))
        if isinstance(folder_fd, int) and folder_fd > 2 and not path.is_absolute():
            path = Path(f"/proc/self/fd/{folder_fd}").readlink() / path
        path = os.path.abspath(path)  # noqa: PTH100 - `resolve` follows links
        # What is left in the folder for temporary files is found by `project`.
        allowed = (f"{self.folder}/", f"{tempfile.tempdir}/", "/dev/null")
        if not path.startswith(allowed) and path not in (self.folder, tempfile.tempdir):
            self.seen.append(f"{event} {path}")


@functools.cache
def guard():
    """The one guard of this process."""
    found = Guard()
    sys.addaudithook(found)
    return found


def listing(folder, without=None):
    """Every path of a folder with its size and time of change."""
    found = {}
    for parent, folders, names in os.walk(folder):
        if without and without in folders and Path(parent) == Path(folder):
            folders.remove(without)
        for name in (*folders, *names):
            path = Path(parent, name)
            found[str(path)] = (path.lstat().st_size, path.lstat().st_mtime_ns)
    return found


def contents(folder):
    """Every file of a project with its bytes, but for the scratch folder's."""
    paths = (p for p in Path(folder).rglob("*") if p.is_file())
    return {str(p): p.read_bytes() for p in paths if ".scratch" not in p.parts}


@contextlib.contextmanager
def project():
    """A project's folder as the working directory; all around it must stay as it is."""
    warm_up()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        around = Path(name).resolve()
        home = around / "project"
        for folder in (
            home,
            around / "home" / ".cache",
            around / "home" / ".config",
            around / "tmp",
        ):
            folder.mkdir(parents=True)
        (around / "neighbour.txt").write_text("not the project's")
        before = listing(around, without="project")
        places = {"HOME": str(around / "home"), "TMPDIR": str(around / "tmp")}
        with pytest.MonkeyPatch.context() as patch, contextlib.chdir(home):
            for key, value in places.items():
                patch.setenv(key, value)
            patch.setattr(tempfile, "tempdir", places["TMPDIR"])
            yield home
        found = listing(around, without="project").items() ^ before.items()
        assert not found, f"beside the project: {found}"


@contextlib.contextmanager
def limited():
    """Ends what runs for too long, wherever it is: in Python by an error, else with the process."""

    def end(*_):
        stacks = ["".join(traceback.format_stack(f)[-6:]) for f in sys._current_frames().values()]
        raise Hang(f"over {BUSY} s of processor time, or {WAITING} s:\n" + "\n\n".join(stacks))

    kept = [(number, signal.signal(number, end)) for number in (signal.SIGPROF, signal.SIGALRM)]
    faulthandler.dump_traceback_later(STUCK, exit=True, file=sys.__stderr__)
    signal.setitimer(signal.ITIMER_PROF, BUSY)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        for number, handler in kept:
            signal.signal(number, handler)


@contextlib.contextmanager
def guarded(folder):
    """Fails where anything outside the folder is written, or the network or a process is used."""
    watch, bytecode = guard(), sys.dont_write_bytecode
    watch.folder, watch.seen = str(folder), []
    sys.dont_write_bytecode = True  # of what a stage imports
    try:
        yield
    finally:
        watch.folder, sys.dont_write_bytecode = None, bytecode
    assert not watch.seen, f"outside the project: {watch.seen}"


def attempt(call):
    """The message with which a call refuses its input; None where it finishes.

    What it prints must be text that a terminal can be given.
    """
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    errors = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(errors),
        guarded(Path.cwd()),
        limited(),
    ):
        try:
            call()
        except InputError as error:
            message = str(error)
        except SystemExit as end:
            assert end.code == 1, f"exit status {end.code}: {errors.getvalue()}"
            message = errors.getvalue().strip()
            assert message.startswith("dataselect "), message
        else:
            return None
    assert message.strip(), "a message without words"
    assert "Traceback" not in message, message
    assert len(message) <= LONGEST_MESSAGE, f"{len(message)} characters: {message:.300}…"
    return message


@functools.cache
def warm_up():
    """Runs the stages once: on their first import, libraries make folders of their own."""
    import torch._dynamo  # noqa: F401

    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        user_folder(Path(name))
        with contextlib.redirect_stdout(io.StringIO()):
            for stage in ("plan", "dedup", "embed", "score", "aggregate"):
                script(stage)()


@functools.cache
def script(name):
    """The `main` of a stage's script."""
    return runpy.run_path(str(ROOT / "stages" / f"{name}.py"), run_name="stage")["main"]


def run_stages(*names):
    """Runs stages one after the other: `done`, or the name of the one that refuses.

    One that refuses changes no file; none leaves a part of one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_run, "code_hash", CODE_HASH)
        for name in names:
            before = contents(Path.cwd())
            message = attempt(script(name))
            after = contents(Path.cwd())
            parts = [path for path in after if Path(path).name.startswith(".")]
            assert not parts, f"left over: {parts}"
            if message is not None:
                assert after == before, f"{name} refuses, and leaves {after.keys() - before.keys()}"
                return name
    return "done"


#: The same for all cases: no file of the package changes meanwhile.
CODE_HASH = functools.cache(plan_run.code_hash)
