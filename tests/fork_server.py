"""Runs the stages' scripts, and DVC, in forks of a process that has imported what they import.

Each stage is a Python process that imports torch, transformers or lm-eval anew: some ten seconds,
where the work of a test takes one. `python` and `dvc` in the tests' PATH are clients that hand a
script, its arguments, its environment and its standard streams to a server, which forks and runs
it. What the scripts import of this project, and how DVC starts them, is as without it. Tests of
kills, and those of the installed interpreter itself, do not use it. There is one server for all of
pytest-xdist's workers.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from filelock import FileLock

#: What stages import within functions; never anything of this project.
LIBRARIES = ("torch", "transformers", "transformers.trainer", "transformers.models.llama",
             "peft", "accelerate", "polars", "duckdb", "pyarrow.parquet", "dvclive",
             "pydantic.json_schema", "pydantic.type_adapter", "pydantic.dataclasses",
             "rich.console", "rich.table", "rich.emoji", "typer", "safetensors.numpy",
             "lm_eval", "lm_eval.tasks", "lm_eval.models.huggingface", "datasets",
             "sentence_transformers", "sklearn.cluster", "safetensors.torch",
             "dvc.cli.parser", "dvc.repo.reproduce", "dvc.repo.experiments.executor.local",
             "dvc.repo.experiments.queue.celery", "dvc.repo.experiments.show", "dvc.repo.plots",
             "dvc_data.index", "dvc_data.hashfile.db.local", "dulwich.ignore")  # fmt: skip

#: A stage's exit status where the server itself failed.
FAILED = 70

#: The commands that it runs; but for `python`, each is a script of the environment.
COMMANDS = ("python", "dvc", "dataselect")

#: Gives what it is asked to the server, and ends as the fork does. `first` is a script, or nothing.
CLIENT = """#!{python} -IS
import array, json, os, socket, sys
given = {first!r} + sys.argv[1:]
if not given or (given[0][:1] == "-" and given[0] not in ("-c", "-m")):
    os.execv({python!r}, [{python!r}, *given])
with socket.socket(socket.AF_UNIX) as s:
    s.connect({path!r})
    fds = array.array("i", [0, 1, 2])
    s.sendmsg([b"f"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    text = json.dumps([os.getcwd(), dict(os.environ), given]).encode()
    s.sendall(len(text).to_bytes(8, "big") + text)
    status = s.recv(1)
sys.exit(status[0] if status else {failed})
"""

_folders, _servers = {}, []


def client_folder():
    """A folder whose COMMANDS work through the server, which starts at the first call."""
    if os.getpid() not in _folders:
        run_id = os.environ.get("PYTEST_XDIST_TESTRUNUID")  # the same in all workers
        owner = os.getppid() if run_id else os.getpid()
        if run_id:
            folder = Path(tempfile.gettempdir()) / f"fork-server-{run_id}"
            folder.mkdir(exist_ok=True)
        else:
            folder = Path(tempfile.mkdtemp(prefix="fork-server-"))
        with FileLock(folder / "lock"):
            if not (folder / "dvc").exists():
                start(folder, owner)
        _folders[os.getpid()] = folder
    return str(_folders[os.getpid()])


def start(folder, owner):
    """Starts a server that ends with its owner, and writes the clients."""
    path = folder / "socket"
    process = subprocess.Popen([sys.executable, __file__, str(path), str(owner)])
    _servers.append(process)  # it outlives this worker where another still needs it
    while not path.exists():
        assert process.poll() is None, "the fork server ended"
        time.sleep(0.05)
    for name in COMMANDS:
        script = [] if name == "python" else [str(Path(sys.executable).parent / name)]
        text = CLIENT.format(python=sys.executable, path=str(path), first=script, failed=FAILED)
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def serve(path, owner):
    """Imports the libraries, then forks for every client until the owner ends."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the package does, before torch
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LIBRARIES:
            try:
                importlib.import_module(name)
            except ImportError:
                continue  # an optional part
    ask_nothing_of_the_machine()
    os.fsync = lambda handle: None  # as conftest has it
    gc.freeze()  # a collection in a fork would copy what it looks at
    ended, wake_up = socket.socketpair()
    wake_up.setblocking(False)
    signal.set_wakeup_fd(wake_up.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running = {}
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path + ".new")
        listener.listen(64)
        os.rename(path + ".new", path)  # noqa: PTH104
        while is_alive(owner):
            ready, _, _ = select.select([listener, ended], [], [], 5)
            if ended in ready:
                ended.recv(4096)
                report_ended(running)
            if listener in ready:
                connection, _ = listener.accept()
                running[begin(connection)] = connection
    shutil.rmtree(Path(path).parent, ignore_errors=True)
    os._exit(0)  # what the libraries do at an end is of no use


def ask_nothing_of_the_machine():
    """Keeps lm-eval, where it is imported, from its report on the machine, which nothing reads.

    It starts pip, lscpu and others for it, some seconds in every evaluation.
    """
    if evaluator := sys.modules.get("lm_eval.evaluator"):
        evaluator.add_env_info = lambda results: None


def is_alive(pid):
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def report_ended(running):
    """Sends the status of every fork that has ended to its client."""
    for pid in list(running):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            with running.pop(pid) as connection, contextlib.suppress(BrokenPipeError):
                connection.send(bytes([code if code >= 0 else 128 - code]))


def begin(connection):
    """Forks for a client; returns the fork's process id."""
    fds = array.array("i")
    _, ancillary, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(3 * fds.itemsize))
    fds.frombytes(ancillary[0][2][: 3 * fds.itemsize])
    size = int.from_bytes(connection.recv(8, socket.MSG_WAITALL), "big")
    folder, environment, arguments = json.loads(connection.recv(size, socket.MSG_WAITALL))
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        run(list(fds), folder, environment, arguments)
    for fd in fds:
        os.close(fd)
    return pid


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
    is_script = not arguments[0].startswith("-")
    first = str(Path(arguments[0]).parent) if is_script else folder
    sys.path[:] = [first, *extra, *(part for part in sys.path if part != own)]
    code = 0
    try:
        start_code(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def start_code(arguments):
    """Runs a script, the module after `-m` or the text after `-c`, as `python` does."""
    option, *others = arguments
    sys.argv[:] = arguments if option[0] != "-" else [option, *others[1:]]
    if option == "-m":
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        exec(others[0], {"__name__": "__main__", "__builtins__": __builtins__})
    else:
        runpy.run_path(option, run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
