"""A cluster: the same bytes as one process, also when a worker is killed."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from dataselect.compute.local import local
from dataselect.data import shards, tables
from dataselect.embed.run import embed
from dataselect.errors import InputError
from dataselect.score.run import ScoreSection, score
from dataselect.settings import Part
from tests.compute.conftest import SECTION, shard_bytes
from tests.compute.test_local import kill_a_worker, numbers

#: A cluster takes half a minute to start.
pytestmark = [pytest.mark.slow, pytest.mark.torture, pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module")
def cluster():
    """Three nodes on this machine, which claim two cores, two and one."""
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

    return partial(ray, address=cluster.address)  # an engine, once it is called


def test_a_cluster_writes_the_same_bytes(pool, by_one_process, on_ray):
    done = embed(SECTION, pool, rows=8, engine=on_ray())
    assert shard_bytes(pool) == by_one_process
    assert done["pool"].computed == len(list((pool / "features/pool").iterdir()))


def once_deadly(flag):
    """A feature that kills its worker, once, in the middle."""

    def compute(rows, side, progress):
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
    for folder, engine in (("ray", on_ray()), ("here", local())):
        with shards.open_writer(partial(once_deadly, str(flag)), [folder], engine) as put:
            put("pool", in_scratch / "pool.parquet", in_scratch / folder, 4)
    assert flag.exists()
    ours = {k.name: v for k, v in shard_bytes(in_scratch / "here").items()}
    assert {k.name: v for k, v in shard_bytes(in_scratch / "ray").items()} == ours


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_cluster_scores_to_the_bit(pool, on_ray, cpus):
    embed(SECTION, pool, rows=8)
    scorer = ScoreSection(Part("cosine", {"groups": "queries"}), code="")
    tables_ = ("scores.parquet", "groups.parquet")
    score(scorer, pool, pool / "features")
    here = [(pool / name).read_bytes() for name in tables_]
    done = score(scorer, pool, pool / "features", on_ray(cpus=cpus))
    assert done.rows == 90
    assert [(pool / name).read_bytes() for name in tables_] == here


def test_a_job_that_no_machine_can_hold_is_one_message(on_ray):
    with (
        pytest.raises(InputError, match="largest machine of the cluster has 2 cores and 0 GPUs"),
        on_ray(cpus=3).open(kill_a_worker),
    ):
        pass
