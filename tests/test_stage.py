"""Around a stage: its lock, which no killed process leaves behind."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dataselect.stage import _leave_objects, stage

HOLDER = """
import time
from typing import Any
from dataselect.stage import stage
with stage("train", Any):
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(in_scratch):
    """A stage of another process that has the folder's lock."""
    Path(".dvc/tmp").mkdir(parents=True)
    Path("plan.json").write_text('{"train": {}, "embed": {}}')
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"holds\n"
        yield process
        process.kill()


def test_the_lock_of_a_killed_stage_blocks_no_later_one(holder, capsys):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert Path(".dvc/tmp/stage.lock").exists()
    start = time.monotonic()
    with stage("embed", Any):
        pass
    assert time.monotonic() - start < 5
    assert "waiting" not in capsys.readouterr().out
    assert json.loads(Path(".dvc/tmp/stage.json").read_text())["stage"] == "embed"


def test_a_stage_that_waits_says_for_which_process(holder):
    command = [sys.executable, "-c", HOLDER.replace('"train"', '"embed"').replace("60", "0")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        line = waiting.stdout.readline() + waiting.stdout.readline()
        holder.kill()
        holder.wait()  # else its process id is still there
        assert "holds" in waiting.stdout.read()
    assert " ".join(line.split()) == (
        "the stage train of an earlier run still runs in this folder, as process "
        f"{holder.pid}; waiting for it. To stop it instead: kill {holder.pid}"
    )


def test_parts_of_files_of_a_killed_stage_are_removed_from_the_folders_of_outs_too(in_scratch):
    Path("plan.json").write_text('{"score": {}}')
    left = ["out/.groups.parquet.abcdefgh", "out/features/.features.json.abcdefgh"]
    kept = ["out/features/.gitignore", "out/features/features.json"]
    for name in (*left, *kept):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    with stage("score", Any):
        pass
    assert [name for name in (*left, *kept) if Path(name).exists()] == kept


def test_too_little_memory_is_a_message_that_says_what_to_lower(in_scratch, capsys):
    Path("plan.json").write_text('{"score": {}}')
    with pytest.raises(SystemExit, match="1"), stage("score", Any):
        raise MemoryError("Unable to allocate 3.73 GiB for an array")
    printed = capsys.readouterr().err
    assert "dataselect score: out of memory: this process may use" in printed
    assert "a method that scores each row by itself" in printed
    assert "Unable to allocate 3.73 GiB" in printed


@pytest.mark.parametrize(("loaded", "frozen"), [(False, 1), (True, 0)])
def test_objects_are_left_at_the_end_but_where_duckdb_prints_them(monkeypatch, loaded, frozen):
    seen = []
    monkeypatch.setattr("gc.freeze", lambda: seen.append(1))
    monkeypatch.delitem(sys.modules, "duckdb", raising=False)
    if loaded:
        monkeypatch.setitem(sys.modules, "duckdb", Any)
    _leave_objects()
    assert len(seen) == frozen
