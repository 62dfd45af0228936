"""A sentence model in a process with an environment of its own: the calls of `SentenceModel`."""

from __future__ import annotations

import shutil
import signal
import subprocess
import weakref
from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from dataselect.compute.memory import is_out_of_memory
from dataselect.data import files
from dataselect.embed import _sentence_worker
from dataselect.embed._sentence_worker import read_message, write_message
from dataselect.errors import InputError

#: Lines of a dead process's standard error that a message shows.
LAST_LINES = 5

#: Seconds that a process has to end once nothing more will be asked of it.
GRACE = 10


class WorkerError(Exception):
    """An error in the process, as a text.

    Attributes:
        is_import: whether a module, or a name in a module, is not there.
    """

    def __init__(self, text: str, *, is_import: bool) -> None:
        super().__init__(text)
        self.is_import = is_import


class SentenceProcess:
    """A `SentenceModel` in a process of another interpreter; ends with this object, or process.

    It has the attributes and methods of `SentenceModel` that a feature needs, and what it raises:
    where memory runs out `MemoryError`, of what else goes wrong there `WorkerError`.

    Args:
        python: the interpreter: a path, from here or from the repository's folder, or a command.
        settings: of `SentenceModel`.

    Attributes:
        versions: of the libraries that compute, under names that say where.

    Raises:
        InputError: there is no such interpreter; or, in any call, the process has ended.
    """

    def __init__(self, python: str, settings: dict[str, Any]) -> None:
        self.python = python
        self._process = _start(python)
        self._lines: deque[bytes] = deque(maxlen=LAST_LINES)
        # It reads without end, so that the process never waits for it.
        errors = Thread(target=self._lines.extend, args=[self._process.stderr], daemon=True)
        errors.start()
        self._finalizer = weakref.finalize(self, _stop, self._process, errors)
        try:
            described, _ = self._call("load", **settings, **_limits())
        except BaseException:
            self.close()
            raise
        self.weights: list[str] = described["weights"]
        self.dimension: int = described["dimension"]
        self.dtype: str = described["dtype"]
        self.token_flops: float = described["token_flops"]
        self.versions = {f"{name} of {python}": v for name, v in described["versions"].items()}

    def prepare(
        self, rows: list[tuple[list[str], int | None]], prompt: str
    ) -> tuple[list[str], list[int]]:
        """See `SentenceModel.prepare`."""
        reply, _ = self._call("prepare", rows=rows, prompt=prompt)
        return reply["texts"], reply["tokens"]

    def encode(self, texts: list[str], prompt: str) -> np.ndarray:
        """See `SentenceModel.encode`."""
        reply, payload = self._call("encode", texts=texts, prompt=prompt)
        return np.frombuffer(payload, dtype=np.float32).reshape(reply["shape"])

    def close(self) -> None:
        """Ends the process."""
        self._finalizer()

    def _call(self, call: str, /, **settings: Any) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # pipes
        try:
            write_message(stdin, {"call": call, "settings": settings})
            reply = read_message(stdout)
        except (BrokenPipeError, ValueError):  # it has ended, or what it wrote is no message
            reply = None
        if reply is None:
            raise InputError(self._end())
        if "error" in reply[0]:
            raise _error(reply[0])
        return reply

    def _end(self) -> str:
        """What is known of a process that has ended, as a message."""
        self.close()
        status = self._process.returncode
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        killed = "; the machine may have run out of memory" if status == -signal.SIGKILL else ""
        lines = [line.decode(errors="replace").rstrip() for line in self._lines]
        shown = "\n".join(f"  {line}" for line in lines) or "  (none)"
        return (
            f"the process of `{self.python}`, which holds the sentence model, {how}{killed}. "
            "Finished work is kept: once the cause is gone, run `dvc repro` again. Its last lines:"
            f"\n{shown}"
        )


def _start(python: str) -> subprocess.Popen:
    """Starts the process.

    Raises:
        InputError: there is no such interpreter, or it cannot be started.
    """
    path = shutil.which(files.resolve(str(Path(python).expanduser())))
    advice = "Set it to the Python of an environment that has sentence-transformers."
    if python.startswith(".venvs/"):
        folder = "/".join(python.split("/")[:2])
        advice = (
            f"Make it: make {folder}/ready (see docs/methods.md); where there is no Makefile: "
            f"python -m venv {folder} && {folder}/bin/python -m pip install -r "
            f"environments/{Path(folder).name}.txt"
        )
    if path is None:
        raise InputError(
            f"methods.yaml: sentence_embeddings.python: `{python}`: no such interpreter (looked "
            f"from {Path.cwd()}). {advice}"
        )
    # Isolated: neither this package's environment variables nor the script's folder count.
    command = [path, "-I", _sentence_worker.__file__]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise InputError(
            f"methods.yaml: sentence_embeddings.python: `{python}` cannot be started: {error}. "
            f"{advice}"
        ) from None


def _stop(process: subprocess.Popen, errors: Thread) -> None:
    """Ends the process, and waits for the thread that reads its standard error."""
    assert process.stdin and process.stdout and process.stderr  # pipes
    with suppress(OSError):
        process.stdin.close()  # the end of its input ends it
    try:
        process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    errors.join(timeout=GRACE)
    process.stdout.close()
    process.stderr.close()


def _limits() -> dict[str, Any]:
    """The threads and the share of a GPU's memory that this process may use."""
    import torch

    limited = torch.cuda.is_initialized()  # by the limit: see `compute.memory`
    memory = torch.cuda.get_per_process_memory_fraction() if limited else 1.0
    return {"threads": torch.get_num_threads(), "memory": memory}


def _error(reply: dict[str, Any]) -> Exception:
    """The error that a reply tells of: `MemoryError`, or `WorkerError`."""
    text, types = reply["error"], reply["types"]
    same: Exception = WorkerError(
        " ".join(text.split()) or types[0], is_import="ImportError" in types
    )
    same.add_note(reply["traceback"])
    if "MemoryError" in types:
        return MemoryError(text)
    if "OSError" in types and reply["errno"] is not None:
        return MemoryError(text) if is_out_of_memory(OSError(reply["errno"], text)) else same
    is_runtime = "RuntimeError" in types and is_out_of_memory(RuntimeError(text))
    return MemoryError(text) if is_runtime else same
