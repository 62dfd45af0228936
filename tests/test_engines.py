"""Where work runs changes nothing of what it comes to."""

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
from dataselect.plan.run import engine as planned
from dataselect.score.run import score
from tests.helpers import GOLDEN, MODEL, ROOT
from tests.test_pipeline import repro, small_project


@pytest.fixture
def pool(in_scratch):
    """Golden rows as a pool and queries, in `out/`."""
    frame = pl.read_parquet(GOLDEN / "pool.parquet").head(90).drop("row", strict=False)
    (in_scratch / "out/reference").mkdir(parents=True)
    (in_scratch / "out/reference/reference.json").write_text('{"checkpoints": []}')
    numbered = frame.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered, in_scratch / "out/pool.parquet")
    columns = {"task": pl.lit("t"), "subtask": pl.lit(None, pl.String)}
    tables.write(
        "queries", frame.head(5).with_columns(**columns), in_scratch / "out/queries.parquet"
    )
    return in_scratch / "out"


def section(**settings):
    settings = {"pooling": "weighted_mean", "over": "all", "unit": True, **settings}
    return {
        "features": {"name": "hidden_states", "settings": settings},
        "model": {**MODEL, "dtype": "float32", "max_tokens": 128},
        "queries": True,
        "reference": False,
    }


def shard_bytes(out):
    return {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*.safetensors"))}


@pytest.fixture
def by_one(pool):
    """The shards of a run in this process; what it computed is forgotten."""
    done = embed(section(), pool, rows=8)
    assert done["pool"].computed > 5
    found = shard_bytes(pool)
    forget(pool)
    return found


def forget(pool):
    for path in [*pool.parent.rglob("*.safetensors"), *pool.parent.glob(".scratch/embed/*/*")]:
        path.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Here as in a worker: another number of threads may give other last bits."""
    import torch

    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_several_processes_write_the_same_bytes(pool, by_one):
    done = embed(section(), pool, rows=8, engine=partial(local, workers=2))
    assert shard_bytes(pool) == by_one
    assert done["pool"].computed == len(list((pool / "features/pool").iterdir()))
    again = embed(section(), pool, rows=8, engine=partial(local, workers=2))
    assert again["pool"].computed == 0


def test_the_stage_itself_works_in_several_processes(tmp_path):
    home = small_project(tmp_path / "project", method="rds", engine={"local": {"workers": 2}})
    assert "embed" in repro(home, "embed")
    assert len(list((home / "out/features/pool").iterdir())) > 0
    home = small_project(tmp_path / "other", method="rds")
    assert "embed" in repro(home, "embed")
    names = [sorted(path.name for path in (tmp_path / of / "out/features").rglob("*.safetensors"))
             for of in ("project", "other")]  # fmt: skip
    assert names[0] == names[1]


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
    def compute(rows, side, advance):
        if int(rows[0][0]["content"]) >= at:
            os.kill(os.getpid(), signal.SIGKILL)
        return {"vectors": np.zeros((len(rows), 1), np.float32)}

    return compute


def numbers(count):
    turns = [[{"role": "user", "content": str(i)}] for i in range(count)]
    rows = [(i, f"id{i}", "s", turn) for i, turn in enumerate(turns)]
    return pl.DataFrame(rows, schema=tables.SCHEMAS["pool"], orient="row")


def test_a_killed_process_is_one_message_and_what_was_finished_stays(in_scratch):
    tables.write("pool", numbers(60), in_scratch / "pool.parquet")
    workers = partial(local, workers=2)
    with (
        pytest.raises(InputError, match="a worker process was killed"),
        shards.open_writer(partial(kill_a_worker, 30), ["k"], workers) as put,
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
from dataselect import shards, tables
from dataselect.engines.local import local
from tests.test_engines import slow

with shards.writing(partial(slow, sys.argv[1]), ["k"], partial(local, workers=2)) as put:
    put("pool", Path("pool.parquet"), Path("features"), 4)
"""


def slow(folder):
    """A feature that says who works on it, and takes its time."""

    def compute(rows, side, advance):
        (Path(folder) / str(os.getpid())).touch()
        time.sleep(0.5)
        return {"vectors": np.zeros((len(rows), 1), np.float32)}

    return compute


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
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
    assert planned("local") == {
        "name": "local", "settings": {"workers": "auto", "memory": None}
    }  # fmt: skip
    assert planned({"ray": {"cpus": 2}})["settings"] == {"address": None, "cpus": 2, "gpus": 0}
    with pytest.raises(InputError, match=r"no engine is called `rya`\. Did you mean `ray`"):
        planned("rya")
    with pytest.raises(InputError, match="unknown setting `worker`"):
        planned({"local": {"worker": 2}})
    with pytest.raises(InputError, match=r"engine\.local\.workers: expected .* found 0"):
        planned({"local": {"workers": 0}})
    with pytest.raises(InputError, match=r"engine\.local\.memory: expected a size in MB"):
        planned({"local": {"memory": "much"}})


@pytest.fixture(scope="module")
def cluster():
    """Three nodes on this machine, of two cores (so they are told), two and one."""
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    for cpus in (2, 1):
        nodes.add_node(num_cpus=cpus)
    nodes.wait_for_nodes()
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def on_ray(cluster):
    from dataselect.compute.ray import ray

    return partial(ray, address=cluster.address)


def test_a_cluster_writes_the_same_bytes(pool, by_one, on_ray):
    done = embed(section(), pool, rows=8, engine=on_ray)
    assert shard_bytes(pool) == by_one
    assert done["pool"].computed == len(list((pool / "features/pool").iterdir()))


def once_deadly(flag):
    """A feature that kills its worker, once, in the middle."""

    def compute(rows, side, advance):
        number = int(rows[0][0]["content"])
        if number >= 30 and not Path(flag).exists():
            Path(flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"vectors": np.full((len(rows), 1), number, np.float32)}

    return compute


def test_a_killed_workers_shard_is_done_by_another(in_scratch, on_ray):
    from ray import cloudpickle

    tables.write("pool", numbers(60), in_scratch / "pool.parquet")
    flag = in_scratch / "killed"
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not know the tests
    for folder, engine in (("ray", on_ray), ("here", local)):
        with shards.open_writer(partial(once_deadly, str(flag)), [folder], engine) as put:
            put("pool", in_scratch / "pool.parquet", in_scratch / folder, 4)
    assert flag.exists()
    ours = {k.name: v for k, v in shard_bytes(in_scratch / "here").items()}
    assert {k.name: v for k, v in shard_bytes(in_scratch / "ray").items()} == ours


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_cluster_scores_to_the_bit(pool, on_ray, cpus):
    embed(section(), pool, rows=8)
    scorer = {"scorer": {"name": "cosine", "settings": {"groups": "queries"}}}
    tables_ = ("scores.parquet", "groups.parquet")
    score(scorer, pool, pool / "features")
    here = [(pool / name).read_bytes() for name in tables_]
    done = score(scorer, pool, pool / "features", partial(on_ray, cpus=cpus))
    assert done.rows == 90
    assert [(pool / name).read_bytes() for name in tables_] == here


def test_a_job_that_no_machine_can_hold_is_one_message(on_ray):
    with (
        pytest.raises(InputError, match="largest machine of the cluster has 2 cores and 0 GPUs"),
        on_ray(kill_a_worker, cpus=3),
    ):
        pass
