"""`kill -9` at random moments: the next run goes on, and ends with the same bytes."""

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataselect.errors import InputError, disk_fails, disk_is_full
from dataselect.stage import end_with_message
from tests.helpers import run
from tests.test_pipeline import repro, small_project

pytestmark = pytest.mark.slow

#: What a run leaves, but for what tells of its own time.
LEFT = ("pool.parquet", "dropped.parquet", "queries.parquet", "features", "scores.parquet",
        "groups.parquet", "selection.parquet", "train.jsonl", "model")  # fmt: skip


def left(home):
    """Every file that a run left, and its bytes."""
    paths = [
        path for name in LEFT for path in [home / "out" / name, *(home / "out" / name).rglob("*")]
    ]
    return {str(p.relative_to(home)): p.read_bytes() for p in paths if p.is_file()}


def killed_in(home, target, stage, seconds, whom):
    """Starts `dvc repro`, and kills it, the stage at work, or both, once a stage has begun.

    Returns:
        Whether there was something to kill.
    """
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        ["dvc", "repro", *target], cwd=home, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not working(process.pid, f"stages/{stage}.py"):
        time.sleep(0.01)
    time.sleep(seconds)
    while process.poll() is None and not working(process.pid):
        time.sleep(0.01)  # between two stages
    if process.poll() is not None:
        return False
    if whom == "stage":
        for pid in working(process.pid):
            os.kill(pid, signal.SIGKILL)
    elif whom == "dvc":
        process.send_signal(signal.SIGKILL)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def working(group, script="stages/"):
    """The processes of a process group that run a stage's script."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            here = os.getpgid(int(folder.name)) == group
        except OSError:
            continue
        if here and any(word.startswith(script.encode()) for word in words):
            found.append(int(folder.name))
    return found


#: Stage → who is killed while it works: the stage, DVC, or both.
FEW_KILLS = {"dedup": "both", "embed": "stage"}
MANY_KILLS = {"dedup": "both", "embed": "stage", "aggregate": "dvc", "train": "both",
              "eval": "stage"}  # fmt: skip


@pytest.mark.parametrize(
    ("target", "kills", "seed"),
    [
        pytest.param(["aggregate"], FEW_KILLS, 0, marks=pytest.mark.torture),
        *(pytest.param([], MANY_KILLS, seed, marks=pytest.mark.torture) for seed in range(5)),
    ],
    ids=lambda value: len(value) if isinstance(value, dict) else None,
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_killed_at_random_moments_it_ends_with_the_same_bytes(tmp_path, target, kills, seed):
    undisturbed, disturbed = (small_project(tmp_path / name) for name in ("one", "two"))
    assert repro(undisturbed, *target)
    draw = random.Random(seed)
    done = [
        killed_in(disturbed, target, at, draw.uniform(0, 3), whom) for at, whom in kills.items()
    ]
    assert sum(done) > len(done) / 2
    repro(disturbed, *target)
    assert left(disturbed) == left(undisturbed)
    for folder in ("out", "metrics"):
        names = {path.name for path in (disturbed / folder).rglob(".*")}
        assert names <= {".gitignore"}  # nothing half-written
    assert repro(disturbed, *target) == []


@pytest.mark.torture
def test_a_shard_that_was_finished_before_a_kill_is_not_computed_again(tmp_path):
    home = small_project(tmp_path / "project", model={
        "name": "model", "dtype": "float32", "max_tokens": 512
    })  # fmt: skip
    process = subprocess.Popen(
        ["dvc", "repro", "embed"], cwd=home, start_new_session=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    shards = home / ".dvc/tmp/scratch/embed"
    while process.poll() is None and not list(shards.rglob("*.safetensors")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    there = {path: path.stat().st_mtime_ns for path in shards.rglob("*.safetensors")}
    assert there
    repro(home, "embed")
    assert {path: path.stat().st_mtime_ns for path in there} == there


@pytest.mark.torture
def test_two_queued_experiments_compute_shared_features_once(tmp_path):
    home = small_project(tmp_path / "project")
    for budget in (20, 30):
        run("dvc", "exp", "run", "--queue", "-S", "method=rds", "-S", f"budget={budget}", cwd=home)
    # One after the other: of two at a time, DVC may give one a file that the other has not written
    # to the cache yet. Two processes at the same shards are in test_shards.
    run("dvc", "exp", "run", "--run-all", cwd=home)
    status = run("dvc", "queue", "status", cwd=home).stdout
    assert status.count("Success") == 2, status
    tasks = re.findall(r"^([0-9a-f]{7})", status, re.M)
    logs = "".join(run("dvc", "queue", "logs", task, cwd=home).stdout for task in tasks)
    computed = [int(count) for count in re.findall(r"shards computed +(\d+)", logs)]
    assert len(computed) >= 2  # queries and pool; the second may not even have to look
    assert sum(computed) == len(list((home / ".dvc/tmp/scratch/embed").rglob("*.safetensors")))


FULL = """
from pathlib import Path
from typing import Any
from dataselect.data import files
from dataselect.stage import stage
Path("plan.json").write_text('{"any": {"code": ""}}')
with stage("any", Any):
    files.write_json(Path("kept.json"), 1)
    files.write_json(Path("out/large.json"), "x" * 200_000)
"""


def test_a_full_disk_is_one_message_and_what_was_finished_stays(in_scratch):
    """A limit on the size of files stands in for a disk: the system refuses to write just so."""
    limit = (100_000, resource.RLIM_INFINITY)
    done = subprocess.run(
        [sys.executable, "-c", FULL], capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )  # fmt: skip
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Finished work is kept in" in done.stderr
    assert "Traceback" not in done.stderr
    assert Path("kept.json").read_text() == "1\n"
    assert list(Path("out").iterdir()) == []


def test_what_libraries_say_of_a_full_disk_is_understood():
    assert disk_is_full(OSError(28, "No space left on device"))
    assert disk_is_full(RuntimeError('Io(Os { code: 28, message: "No space left on device" })'))
    try:
        try:
            raise OSError(122, "Disk quota exceeded")
        except OSError as error:
            raise ValueError("could not write") from error
    except ValueError as error:
        assert disk_is_full(error)
    assert not disk_is_full(OSError(13, "Permission denied"))
    assert disk_fails(OSError(5, "Input/output error", "out/pool.parquet"))
    assert disk_fails(RuntimeError("pwrite: Input/output error"))
    assert not disk_fails(OSError(28, "No space left on device"))
    with pytest.raises(SystemExit):
        end_with_message("any", InputError("a mistake"))


def processes_in(folder):
    """The processes whose working directory is in a folder, and the command of each."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            cwd = (process / "cwd").readlink()
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if cwd.is_relative_to(folder):
            found[int(process.name)] = words
    return found


@pytest.mark.torture
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_a_killed_experiment_can_be_given_up_and_blocks_no_other(tmp_path):
    """DVC keeps it as running; docs/sharing.md says what to do, which is done here."""
    home = small_project(tmp_path / "project")
    queue = ["dvc", "exp", "run", "--queue", "-S", "method=random", "--name"]
    run(*queue, "killed", "aggregate", cwd=home)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(
        ["dvc", "queue", "start"], cwd=home, env=environment, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not any("stages/dedup.py" in words for words in processes_in(home).values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    while left_over := processes_in(home):
        for pid in left_over:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.2)
    assert "Running" in run("dvc", "queue", "status", cwd=home).stdout  # what DVC cannot do
    run("dvc", "queue", "kill", "killed", cwd=home)
    run(*queue, "another", "aggregate", cwd=home)
    run("dvc", "exp", "run", "--run-all", cwd=home)
    status = run("dvc", "queue", "status", cwd=home).stdout
    assert re.search(r"killed .*Failed", status), status
    assert re.search(r"another .*Success", status), status
    run("dvc", "queue", "remove", "killed", cwd=home)
    assert "killed" not in run("dvc", "queue", "status", cwd=home).stdout
