"""The sandbox: what programs print and how they end, and that none of them gets out."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataselect.errors import InputError
from dataselect.eval import sandbox
from dataselect.eval.sandbox import Limits, check_sandbox, run_program
from tests.helpers import ROOT, mistake

QUICK = Limits(seconds=1)


def reason_to_skip():
    """Why programs cannot run on this machine; None where they can."""
    try:
        check_sandbox()
    except InputError as error:
        return str(error)
    return None


REASON = reason_to_skip()
with_sandbox = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@with_sandbox
def test_a_program_prints_and_ends():
    outcome = run_program("print('é', 6 * 7)\nif __name__ == '__main__':\n    print('main')")
    assert outcome == sandbox.Outcome(succeeded=True, output="é 42\nmain\n")


@with_sandbox
@pytest.mark.parametrize(
    "program",
    ["x =", "print(1); assert False", "import os; os.kill(os.getpid(), 9)", "exit(3)", "a\0b"],
)
def test_a_program_that_fails_does_not_succeed(program):
    assert not run_program(program).succeeded


@with_sandbox
def test_standard_input_is_empty_and_hashes_repeat():
    printed = [run_program("print(hash('a'), input)\ninput()") for _ in range(2)]
    assert printed[0] == printed[1]
    assert not printed[0].succeeded
    assert printed[0].output


def run_here(program, limits=QUICK):
    outcome = run_program(program, limits)
    assert "ESCAPED" not in outcome.output
    return outcome


@with_sandbox
def test_there_is_no_network():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        outcome = run_here(
            "import socket\n"
            f"for host, port in [('127.0.0.1', {port}), ('8.8.8.8', 53)]:\n"
            "    try:\n"
            "        socket.create_connection((host, port), timeout=1)\n"
            "        print('ESCAPED')\n"
            "    except OSError as error:\n"
            "        print(error)\n"
        )
        with pytest.raises(TimeoutError):
            server.accept()
    assert outcome.output.splitlines() == [
        "[Errno 111] Connection refused",
        "[Errno 101] Network is unreachable",
    ]


@with_sandbox
def test_a_fork_bomb_is_small_and_ends():
    started = time.monotonic()
    outcome = run_here(
        "import os, time\n"
        "count = 0\n"
        "try:\n"
        "    while count < 100:\n"
        "        if os.fork() == 0:\n"
        "            time.sleep(60)\n"
        "        count += 1\n"
        "except OSError:\n"
        "    print(count)\n"
    )
    assert int(outcome.output) < QUICK.processes
    assert outcome.succeeded  # its children have ended with it
    assert time.monotonic() - started < 30


@with_sandbox
@pytest.mark.parametrize(
    "program", ["while True: pass", "import time\nwhile True: time.sleep(1)"], ids=["busy", "idle"]
)
@pytest.mark.slow
def test_an_endless_loop_is_ended_with_all_that_it_started(program):
    limits = Limits(seconds=0.3, memory_bytes=(1 << 30) + 8 * os.getpid())
    assert not run_here("import os\nos.fork()\n" + program, limits).succeeded
    mark = str(limits.memory_bytes).encode()  # stands in the command line of each process
    assert not [path for path in Path("/proc").glob("[0-9]*") if mark in command_line(path)]


def command_line(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.mark.slow
@with_sandbox
def test_a_program_ends_with_the_process_that_runs_it():
    limits = Limits(seconds=30, memory_bytes=(1 << 30) + 8 * os.getpid() + 1)
    code = (
        "from dataselect.eval.sandbox import Limits, run_program\n"
        f"run_program('import time; time.sleep(60)', {limits})\n"
    )
    mark = str(limits.memory_bytes).encode()

    def running():
        return [path for path in Path("/proc").glob("[0-9]*") if mark in command_line(path)]

    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        wait_until(lambda: len(running()) > 2)  # bubblewrap twice, and Python
        parent.kill()
    wait_until(lambda: not running())


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@with_sandbox
def test_memory_is_limited():
    outcome = run_here("try:\n    bytearray(2 << 30)\nexcept MemoryError:\n    print('refused')")
    assert outcome.output == "refused\n"


@with_sandbox
def test_home_and_project_cannot_be_read_or_written(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o666)
    places = [secret, ROOT / "pyproject.toml", Path.home() / ".bashrc", Path("/etc/passwd")]
    outcome = run_here(
        f"for path in {[str(place) for place in places]}:\n"
        "    for mode in 'rw':\n"
        "        try:\n"
        "            open(path, mode).read()\n"
        "            print('ESCAPED')\n"
        "        except OSError as error:\n"
        "            print(error.strerror)\n"
        "import os\nprint(os.listdir('/home'), sorted(os.listdir('/')))\n"
    )
    assert set(outcome.output.splitlines()[:-1]) == {"No such file or directory"}
    assert re.match(
        r"\[\] \['bin', 'dev', 'home', 'lib', .*'usr'\]", outcome.output.splitlines()[-1]
    )
    assert secret.read_text() == "secret"


@with_sandbox
def test_only_small_folders_in_memory_can_be_written():
    outcome = run_here(
        "import os\n"
        "for folder in ['/', '/usr', '/usr/bin', '/dev', '/proc/sys/kernel', '/proc/1', '/bin']:\n"
        "    try:\n"
        "        open(folder + '/new', 'w')\n"
        "        print('ESCAPED')\n"
        "    except OSError: pass\n"
        "for path in ['/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger',\n"
        "             '/proc/sys/kernel/hostname', '/dev/mem', '/dev/sda', '/dev/kmsg']:\n"
        "    try:\n"
        "        open(path, 'rb+', 0).write(b'x')\n"
        "        print('ESCAPED')\n"
        "    except OSError: pass\n"
        "for folder in ['/tmp', '/home', '/dev/shm']:\n"
        "    open(folder + '/new', 'w').write('x')\n"
    )
    assert outcome.succeeded


@with_sandbox
@pytest.mark.parametrize("folder", ["/tmp", "/home", "/dev/shm"])
def test_the_disk_cannot_be_filled(folder):
    outcome = run_here(
        "import signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "written = 0\n"
        "try:\n"
        "    for number in range(100):\n"
        f"        with open('{folder}/' + str(number), 'wb', 0) as file:\n"
        "            while file.write(bytes(1 << 20)) == 1 << 20 and file.tell() < 4 << 20:\n"
        "                written += 1\n"
        "except OSError as error:\n"
        "    print(error.strerror, written)\n",
        Limits(seconds=5),
    )
    reason, written = outcome.output.rsplit(maxsplit=1)
    assert reason == "No space left on device"
    assert int(written) <= 16


@with_sandbox
def test_output_is_cut_off():
    started = time.monotonic()
    outcome = run_here("for _ in range(1024): print('x' * (1 << 20))", Limits(seconds=5))
    assert outcome.output == "x" * (1 << 16)
    assert not outcome.succeeded
    assert time.monotonic() - started < 20
    assert run_here("print('x' * 100)", Limits(output_bytes=101)).succeeded
    assert not run_here("print('x' * 100)", Limits(output_bytes=100)).succeeded


@with_sandbox
def test_other_processes_cannot_be_seen_or_killed():
    outcome = run_here(
        "import os, signal\n"
        "pids = sorted(int(name) for name in os.listdir('/proc') if name.isdigit())\n"
        "print(len(pids), os.getpgid(0) > 0)\n"
        f"for pid in {[os.getpid(), os.getppid()]} + [os.getppid() + 100]:\n"
        "    try:\n"
        "        os.kill(pid, signal.SIGTERM) if pid not in pids else None\n"
        "    except OSError as error:\n"
        "        print(error.strerror)\n"
        "os.kill(1, signal.SIGKILL)\n"
        "try:\n"
        "    os.kill(-1, signal.SIGKILL)\n"
        "finally:\n"
        "    print('end')\n"
    )
    lines = outcome.output.splitlines()
    assert lines[0] == "2 True"
    assert set(lines[1:-1]) <= {"No such process"}


@with_sandbox
def test_no_secret_of_the_environment_is_seen(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    outcome = run_here(
        "import os\n"
        "texts = [repr(os.environ)]\n"
        "for pid in ['1', 'self', *os.listdir('/proc')]:\n"
        "    for name in ['environ', 'cmdline', 'maps', 'mountinfo']:\n"
        "        try:\n"
        "            texts.append(open(f'/proc/{pid}/{name}').read())\n"
        "        except OSError: pass\n"
        "print(len(texts) > 6, 'hf_secret' in ''.join(texts), 'HF_TOKEN' in ''.join(texts))\n"
    )
    assert outcome.output == "True False False\n"


@with_sandbox
def test_proc_leads_nowhere(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    outcome = run_here(
        "import os\n"
        "for pid in ['1', 'self', *filter(str.isdigit, os.listdir('/proc'))]:\n"
        f"    for path in ['root{secret}', 'cwd{secret}', 'root/etc/passwd', 'root/root']:\n"
        "        if os.path.exists(f'/proc/{pid}/{path}'): print('ESCAPED')\n"
        "    for number in os.listdir(f'/proc/{pid}/fd'):\n"
        "        try: print(os.readlink(f'/proc/{pid}/fd/{number}').split(':')[0])\n"
        "        except FileNotFoundError: pass\n"  # that of the list itself
    )
    assert outcome.succeeded
    assert not [line for line in outcome.output.splitlines() if str(tmp_path) in line]
    assert not [line for line in outcome.output.splitlines() if str(ROOT) in line]


@with_sandbox
def test_it_has_no_rights_and_gets_none():
    outcome = run_here(
        "import ctypes, os\n"
        "print(os.getuid(), os.geteuid(), os.getgid())\n"
        "status = open('/proc/self/status').read()\n"
        "print([line.split()[1] for line in status.splitlines() if line.startswith('Cap')])\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "CLONE_NEWUSER = 0x10000000\n"
        "print(libc.unshare(CLONE_NEWUSER), libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))\n"
        "try:\n"
        "    os.setuid(0)\n"
        "    print('ESCAPED')\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
    )
    assert outcome.output.splitlines() == [
        "65534 65534 65534",
        str(["0" * 16] * 5),
        "-1 -1",
        "Invalid argument",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="a Linux program")
def test_without_bubblewrap_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mistake(check_sandbox).startswith(
        "eval.run_code: bubblewrap, in which generated programs run, is not installed. Install it "
    )


@pytest.mark.skipif(sys.platform != "linux", reason="a Linux program")
def test_where_the_kernel_forbids_it_it_says_what_to_enable(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents):  # whoever runs it here must find it
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    message = mistake(check_sandbox)
    assert "cannot set up the sandbox" in message
    assert "bwrap: No permissions to create new namespace. It needs version 0.8" in message
    assert "user.max_user_namespaces" in message


@with_sandbox
def test_where_the_system_has_no_python_the_base_interpreter_is_used(monkeypatch):
    class NoSystem(type(Path())):
        def exists(self, **settings):
            return str(self) != "/usr/bin/python3" and super().exists(**settings)

    monkeypatch.setattr(sandbox, "Path", NoSystem)
    python, folder = sandbox._python()
    assert python == str(Path(sys.base_prefix).resolve() / "bin" / "python3")
    assert folder is None or python.startswith(folder)
    command = sandbox._command(QUICK)
    assert command[command.index("--") + 1] == python
    if folder:
        assert command[command.index(folder) - 1] == "--ro-bind"
