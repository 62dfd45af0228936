"""Sharded work: nothing finished is computed again, whatever ended the run before."""

import json
import shutil
import signal
import subprocess
import sys
import time
import zlib
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest

from dataselect.data import shards, tables
from dataselect.data.files import scratch_folder
from dataselect.data.shard_records import read_record


def pool(count, start=0):
    turns = [
        [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": f"a{i}"}]
        for i in range(start, start + count)
    ]
    rows = [(i, f"id{start + i}", "s", turn) for i, turn in enumerate(turns)]
    return pl.DataFrame(rows, schema=tables.schema("pool"), orient="row")


class Counted:
    """A feature that is the number in a row's text, and that counts the rows it computes."""

    def __init__(self, fail_at=None):
        self.loads, self.rows, self.fail_at = 0, [], fail_at

    def load(self):
        self.loads += 1
        return self.compute

    def compute(self, rows, side, progress):
        numbers = [int(row[0]["content"][1:]) for row in rows]
        if self.fail_at in numbers:
            raise RuntimeError("killed")
        self.rows += numbers
        return {"vectors": np.asarray(numbers, dtype=np.float32)[:, None]}


def write(frame, home, feature, key="k", rows=10):
    tables.write("pool", frame, home / "pool.parquet")
    return shards.write("pool", home / "pool.parquet", home / "out", feature.load, [key], rows)


def sizes(home, count, rows=10):
    """How many rows the shards of a pool have, by the rule alone: which ids end one."""
    found, start = [], 0
    for end in range(1, count + 1):
        ends = zlib.crc32(f"id{end - 1}".encode()) % rows == 0
        if (ends and end - start >= rows // 8) or end - start == 4 * rows or end == count:
            found.append(end - start)
            start = end
    return found


def test_every_row_once_in_order_and_nothing_twice(in_scratch):
    feature = Counted()
    done = write(pool(75), in_scratch, feature)
    expected = sizes(in_scratch, 75)
    assert len(expected) > 4
    assert (done.rows, done.computed, done.found) == (75, len(expected), 0)
    assert feature.rows == list(range(75))
    assert [
        shards.row_count(path) for path in shards.shard_paths(in_scratch / "out/pool")
    ] == expected
    assert shards.read_all(in_scratch / "out/pool")["vectors"][:, 0].tolist() == list(range(75))
    again = Counted()
    done = write(pool(75), in_scratch, again)
    assert (done.computed, done.found, again.loads) == (0, len(expected), 0)  # no model was loaded


def test_a_run_that_failed_keeps_what_it_finished(in_scratch):
    ends = np.cumsum(sizes(in_scratch, 75))
    last = int(ends[2])  # the first row of the fourth shard
    with pytest.raises(RuntimeError, match="killed"):
        write(pool(75), in_scratch, Counted(fail_at=last))
    rest = Counted()
    assert write(pool(75), in_scratch, rest).found == 3
    assert rest.rows == list(range(last, 75))


def joined(*parts):
    return pl.concat(parts).drop("row").with_row_index("row").cast({"row": pl.Int64})


OLD = (pool(400), pool(400, start=400))
NEW = pool(150, start=5_000)


@pytest.mark.parametrize("grown", [
    joined(*OLD, NEW), joined(OLD[0], NEW, OLD[1]), joined(NEW, *OLD)
], ids=["behind", "between", "before"])  # fmt: skip
def test_a_pool_that_grew_by_a_file_computes_the_new_rows_and_about_a_shard(in_scratch, grown):
    write(joined(*OLD), in_scratch, Counted(), rows=16)
    feature = Counted()
    write(grown, in_scratch, feature, rows=16)
    assert set(range(5_000, 5_150)) <= set(feature.rows)
    assert len(feature.rows) - 150 <= 2 * 16
    # What was found and what was made are what a run from scratch makes.
    there = [path.read_bytes() for path in sorted((in_scratch / "out/pool").iterdir())]
    shutil.rmtree(scratch_folder())
    shutil.rmtree(in_scratch / "out")
    write(grown, in_scratch, Counted(), rows=16)
    assert [path.read_bytes() for path in sorted((in_scratch / "out/pool").iterdir())] == there


def test_a_pool_that_lost_rows_computes_only_the_shards_they_were_in(in_scratch):
    write(joined(*OLD), in_scratch, Counted(), rows=16)
    feature = Counted()
    gone = {0, 137, 138, 700}
    rest = joined(*OLD).filter(~pl.col("id").is_in([f"id{row}" for row in gone]))
    write(joined(rest), in_scratch, feature, rows=16)
    assert len(feature.rows) <= 3 * 2 * 16
    assert not gone & set(feature.rows)


def test_shards_of_a_larger_pool_do_not_stay_behind(in_scratch):
    write(pool(75), in_scratch, Counted())
    write(pool(75).head(20), in_scratch, Counted())
    assert len(shards.read_all(in_scratch / "out/pool")["vectors"]) == 20


def test_one_process_is_one_whatever_gpus_are_named(in_scratch, monkeypatch):
    monkeypatch.setattr("dataselect.compute.local._gpus", lambda: ["0", "1"])
    assert write(pool(20), in_scratch, Counted()).rows == 20


def test_other_settings_are_other_features(in_scratch):
    write(pool(5), in_scratch, Counted(), key="one")
    other = Counted()
    write(pool(5), in_scratch, other, key="two")
    assert other.rows == list(range(5))


def test_a_changed_row_is_computed_again_with_its_shard(in_scratch):
    write(pool(75), in_scratch, Counted())
    changed = joined(pool(40), pool(1, start=900).with_columns(id=pl.lit("id40")), pool(34, 41))
    feature = Counted()
    write(changed, in_scratch, feature)
    ends = np.cumsum(sizes(in_scratch, 75))
    shard = int(np.searchsorted(ends, 40, side="right"))
    of_shard = list(range(int(ends[shard - 1]), int(ends[shard])))
    assert [40 if row == 900 else row for row in feature.rows] == of_shard


WORK = """
import errno, fcntl, os, socket, sys, time
if sys.argv[3:]:  # another machine, on a file system without locks
    def missing(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")
    fcntl.flock, socket.gethostname = missing, lambda: sys.argv[3]
from pathlib import Path
import numpy as np
from dataselect.data import shards

os.fsync = lambda handle: None  # a busy disk takes its time

def compute(rows, side, progress):
    time.sleep(float(sys.argv[2]))
    print("computed", rows[0][0]["content"], flush=True)
    return {"vectors": np.zeros((len(rows), 1), np.float32)}

shards.write("pool", Path("pool.parquet"), Path(sys.argv[1]), lambda: compute, ["k"], 10)
"""


@contextmanager
def started(name, pause, *machine):
    command = [sys.executable, "-c", WORK, name, str(pause), *machine]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process


def lines(process):
    return process.communicate()[0].splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.05, pytest.param(0.2, marks=pytest.mark.torture)])
def test_a_killed_process_leaves_whole_shards_only(in_scratch, pause):
    tables.write("pool", pool(80), in_scratch / "pool.parquet")
    count = len(sizes(in_scratch, 80))
    with started("one", pause) as process:
        process.stdout.readline()
        time.sleep(pause * 2.5)
        process.send_signal(signal.SIGKILL)
    finished = len(list((scratch_folder() / "embed").rglob("*.safetensors")))
    assert 1 <= finished < count
    with started("two", 0) as process:
        assert len(lines(process)) == count - finished
    assert len(shards.read_all(in_scratch / "two/pool")["vectors"]) == 80


@pytest.mark.slow
@pytest.mark.parametrize("machines", [((), ()), (["node7"], ["node8"])], ids=["one", "two"])
def test_two_processes_share_the_work_on_one_machine_or_two(in_scratch, machines):
    tables.write("pool", pool(80), in_scratch / "pool.parquet")
    with started("one", 0.05, *machines[0]) as one, started("two", 0.05, *machines[1]) as two:
        computed = [*lines(one), *lines(two)]
    # Each shard once, by either.
    assert len(computed) == len(set(computed)) == len(sizes(in_scratch, 80))
    for name in ("one", "two"):
        assert len(shards.read_all(in_scratch / name / "pool")["vectors"]) == 80


def test_two_clones_may_share_a_scratch_folder_by_a_link(in_scratch, monkeypatch):
    (in_scratch / "shared").mkdir()
    for clone in ("one", "two"):
        (in_scratch / clone / ".dvc/tmp").mkdir(parents=True)
        (in_scratch / clone / ".dvc/tmp/scratch").symlink_to(in_scratch / "shared")
    monkeypatch.chdir(in_scratch / "one")
    computed = write(pool(40), in_scratch / "one", Counted()).computed
    monkeypatch.chdir(in_scratch / "two")
    done = write(pool(40), in_scratch / "two", Counted())
    assert (done.computed, done.found) == (0, computed)


def test_a_shard_says_beside_it_what_it_took_and_what_decides_it(in_scratch):
    write(pool(20), in_scratch, Counted(), key="settings")
    (folder,) = (scratch_folder() / "embed").iterdir()
    assert json.loads((folder / shards.KEY_FILE).read_text()) == ["settings"]
    for shard in folder.glob("*.safetensors"):
        record = read_record(shard)
        assert set(record) == {"seconds", "tokens", "flops", "versions"}
        assert record["versions"]["torch"] is not None
