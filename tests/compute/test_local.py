"""One process or several: the same bytes."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dataselect.compute.local import local
from dataselect.data import shards, tables
from dataselect.embed.run import embed
from dataselect.errors import InputError
from dataselect.plan.method import engine_part
from dataselect.settings import Part
from tests.compute.conftest import SECTION, shard_bytes
from tests.helpers import ROOT
from tests.test_pipeline import repro, small_project


@pytest.mark.slow
def test_several_processes_write_the_same_bytes(pool, by_one_process):
    done = embed(SECTION, pool, rows=8, engine=local(workers=2))
    assert shard_bytes(pool) == by_one_process
    assert done["pool"].computed == len(list((pool / "features/pool").iterdir()))
    again = embed(SECTION, pool, rows=8, engine=local(workers=2))
    assert again["pool"].computed == 0


@pytest.mark.torture
def test_the_stage_itself_works_in_several_processes(tmp_path):
    home = small_project(tmp_path / "project", method="rds", engine={"local": {"workers": 2}})
    assert "embed" in repro(home, "embed")
    assert len(list((home / "out/features/pool").iterdir())) > 0
    home = small_project(tmp_path / "other", method="rds")
    assert "embed" in repro(home, "embed")
    folders = [tmp_path / folder / "out/features" for folder in ("project", "other")]
    names = [sorted(path.name for path in folder.rglob("*.safetensors")) for folder in folders]
    assert names[0] == names[1]


@pytest.mark.torture
def test_reference_and_training_themselves_work_in_several_processes(tmp_path):
    shared = {"batch_size": 4, "micro_batch_size": 2, "processes": 2, "threads": 2, "epochs": 1}
    home = small_project(tmp_path / "project", method="s2l", train=shared)
    plan = repro(home, "train")
    assert {"reference", "embed", "train"} <= set(plan)
    assert len(list((home / "out/reference").glob("*/model.safetensors"))) == 3
    assert (home / "out/model/model.safetensors").exists()
    curve = (home / "metrics/live/plots/metrics/loss.tsv").read_text().splitlines()
    assert len(curve) > 2


def kill_a_worker(at):
    def compute(rows, side, progress):
        if int(rows[0][0]["content"]) >= at:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"vectors": np.zeros((len(rows), 1), np.float32)}

    return compute


def numbers(count):
    turns = [[{"role": "user", "content": str(i)}] for i in range(count)]
    rows = [(i, f"id{i}", "s", turn) for i, turn in enumerate(turns)]
    return pl.DataFrame(rows, schema=tables.schema("pool"), orient="row")


@pytest.mark.slow
def test_a_killed_process_is_one_message_and_what_was_finished_stays(in_scratch):
    tables.write("pool", numbers(60), in_scratch / "pool.parquet")
    with (
        pytest.raises(InputError, match="a worker process was killed"),
        shards.open_writer(partial(kill_a_worker, 30), ["k"], local(workers=2)) as put,
    ):
        put("pool", in_scratch / "pool.parquet", in_scratch / "features", 4)
    with shards.open_writer(partial(kill_a_worker, 1_000), ["k"]) as put:
        done = put("pool", in_scratch / "pool.parquet", in_scratch / "features", 4)
    assert done.found > 0


ALIVE = """
import sys, time
from functools import partial
from pathlib import Path
import os
from dataselect.compute.local import local
from dataselect.data import shards
from tests.compute.test_local import slow

with shards.open_writer(partial(slow, sys.argv[1]), ["k"], local(workers=2)) as put:
    put("pool", Path("pool.parquet"), Path("features"), 4)
"""


def slow(folder):
    """A feature that says who works on it, and takes its time."""

    def compute(rows, side, progress):
        (Path(folder) / str(os.getpid())).touch()
        time.sleep(0.5)
        return {"vectors": np.zeros((len(rows), 1), np.float32)}

    return compute


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
@pytest.mark.slow
@pytest.mark.torture
def test_workers_end_when_the_process_they_work_for_is_killed(in_scratch):
    tables.write("pool", numbers(60), in_scratch / "pool.parquet")
    (in_scratch / "workers").mkdir()
    command = [sys.executable, "-c", ALIVE, str(in_scratch / "workers")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment) as process:
        while len(workers := list((in_scratch / "workers").iterdir())) < 2:
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    deadline = time.perf_counter() + 20
    while any(Path("/proc", worker.name).exists() for worker in workers):
        assert time.perf_counter() < deadline
        time.sleep(0.05)


def test_an_engines_settings_are_checked():
    whole = {"device_map": None, "max_memory": None}
    assert engine_part("local") == Part("local", {"workers": "auto", "memory": None, **whole})
    wanted = {"address": None, "cpus": 2, "gpus": 0, **whole}
    assert engine_part({"ray": {"cpus": 2}}).settings == wanted
    with pytest.raises(InputError, match=r"no engine is called `rya`\. Did you mean `ray`"):
        engine_part("rya")
    with pytest.raises(InputError, match="unknown setting `worker`"):
        engine_part({"local": {"worker": 2}})
    with pytest.raises(InputError, match=r"engine\.local\.workers: expected .* found 0"):
        engine_part({"local": {"workers": 0}})
    with pytest.raises(InputError, match=r"engine\.local\.memory: expected a size in MB"):
        engine_part({"local": {"memory": "much"}})
