"""Runs the stages' scripts in forks of a process that has imported the heavy libraries.

Each stage is a Python process that imports torch, transformers or lm-eval anew: some ten seconds,
where the work of a test takes one. `python` in the tests' PATH is a client that hands a script, its
arguments, its environment and its standard streams to a server, which forks and runs it. What the
scripts import of this project, and how DVC starts them, is as without it. Tests of kills, and those
of the installed interpreter itself, do not use it.
"""

import array
import atexit
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

#: What stages import within functions; never anything of this project.
LIBRARIES = ("torch", "transformers", "transformers.trainer", "transformers.models.llama",
             "peft", "accelerate", "polars", "duckdb", "pyarrow.parquet", "pydantic", "dvclive",
             "lm_eval", "lm_eval.tasks", "lm_eval.models.huggingface", "datasets",
             "sentence_transformers", "sklearn.cluster", "safetensors.torch")  # fmt: skip

#: A stage's exit status where the server itself failed.
FAILED = 70

CLIENT = """#!{python} -IS
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect({path!r})
    fds = array.array("i", [0, 1, 2])
    s.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    text = json.dumps([os.getcwd(), dict(os.environ), sys.argv[1:]]).encode()
    s.sendall(len(text).to_bytes(8, "big") + text)
    status = s.recv(1)
sys.exit(status[0] if status else {failed})
"""

_folders = {}


def client_folder():
    """A folder whose `python` runs scripts through the server, which starts at the first call."""
    if os.getpid() not in _folders:
        folder = Path(tempfile.mkdtemp(prefix="fork-server-"))
        path = str(folder / "socket")
        process = subprocess.Popen([sys.executable, __file__, path])
        atexit.register(process.kill)
        client = folder / "python"
        client.write_text(CLIENT.format(python=sys.executable, path=path, failed=FAILED))
        client.chmod(0o755)
        while not Path(path).exists():
            assert process.poll() is None, "the fork server ended"
            time.sleep(0.05)
        _folders[os.getpid()] = folder
    return str(_folders[os.getpid()])


def serve(path):
    """Imports the libraries, then forks for every client until its parent ends."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the package does, before torch
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.simplefilter("ignore")
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # an optional part
    warnings.resetwarnings()
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path + ".new")
        listener.listen(64)
        os.rename(path + ".new", path)  # noqa: PTH104
        listener.settimeout(5)
        while os.getppid() == parent:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            finally:
                reap()
            if os.fork() == 0:
                listener.close()
                handle(connection)
            connection.close()


def reap():
    """Collects ended children."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def handle(connection):
    """In a fork: runs the script in a child of its own, and sends its status back."""
    connection.setblocking(True)
    fds = array.array("i")
    _, ancillary, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(3 * fds.itemsize))
    fds.frombytes(ancillary[0][2][: 3 * fds.itemsize])
    size = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
    folder, environment, arguments = json.loads(connection.recv(size, socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        connection.close()
        run(list(fds), folder, environment, arguments)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    connection.send(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def run(fds, folder, environment, arguments):
    """Becomes the process of a script: streams, folder, environment, path; ends with its status."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    extra = [str(Path(part).resolve()) for part in environment.get("PYTHONPATH", "").split(":")
             if part]  # fmt: skip
    own = str(Path(__file__).parent)
    sys.path[:] = [str(Path(arguments[0]).parent), *extra, *(p for p in sys.path if p != own)]
    sys.argv[:] = arguments
    code = 0
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
