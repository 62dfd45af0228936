"""Rows are counted while a shard is computed, by workers too."""

import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from dataselect.compute import progress as compute_progress
from dataselect.compute.local import local
from dataselect.compute.progress import follow
from dataselect.data import shards, tables
from dataselect.report import part_of
from tests.compute.test_local import numbers


def test_what_is_done_is_passed_on_while_it_grows_and_once_more_at_the_end(monkeypatch):
    monkeypatch.setattr(compute_progress, "EVERY", 0.01)
    done, shown = [0.0], []

    def wait_for(count):
        deadline = time.monotonic() + 10
        while sum(shown) < count:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    with follow(lambda: done[0], shown.append):
        done[0] = 2.5
        wait_for(2.5)
        done[0] = 1.0  # a worker was lost, and its job begins again
        done[0] = 4.0
        wait_for(4.0)
        done[0] = 7.0
    assert sum(shown) == 7.0


def test_one_of_several_passes_counts_a_part_of_each_row():
    calls = []
    part_of(lambda *given: calls.append(given), 4)(2, 10, 3.0)
    assert calls == [(0.5, 10, 3.0)]


def slowly(rows, side, progress):
    """A feature that takes a second for its only shard, and says after each row that it is done."""
    for _ in rows:
        time.sleep(1 / len(rows))
        progress(1, 2, 3.0)
    return {"vectors": np.zeros((len(rows), 1), np.float32)}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.torture)])
def test_progress_moves_within_a_shard(in_scratch, monkeypatch, workers):
    shown = watch(monkeypatch)
    tables.write("pool", numbers(20), in_scratch / "pool.parquet")
    with shards.open_writer(load_slowly, ["k"], local(workers=workers)) as put:
        done = put("pool", in_scratch / "pool.parquet", in_scratch / "features", 1_000)
    assert done.computed == 1  # a single shard
    assert len(shown) > 2
    assert sum(shown) == pytest.approx(20)
    assert max(shown) < 20


def load_slowly():
    return slowly


def watch(monkeypatch):
    """Replaces the display; returns the rows that it is given, call by call."""
    shown = []

    class Display:
        def __enter__(self):
            return lambda rows, *_: shown.append(rows)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(shards, "report", SimpleNamespace(progress=lambda *_: Display()))
    return shown


@pytest.mark.torture
@pytest.mark.xdist_group("ray")
def test_progress_moves_within_a_shard_on_a_cluster(in_scratch, monkeypatch):
    pytest.importorskip("ray")
    import sys

    import ray as cluster
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    from dataselect.compute import ray as engine_module

    monkeypatch.setattr(engine_module, "EVERY", 0.1)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    shown = watch(monkeypatch)
    tables.write("pool", numbers(20), in_scratch / "pool.parquet")
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        with shards.open_writer(
            partial(takes_seconds, 4), ["k"], engine_module.ray(address=nodes.address)
        ) as put:
            put("pool", in_scratch / "pool.parquet", in_scratch / "features", 1_000)
    finally:
        cluster.shutdown()
        nodes.shutdown()
    assert len([rows for rows in shown if rows]) > 1
    assert sum(shown) == pytest.approx(20)


def takes_seconds(count):
    def compute(rows, side, progress):
        for _ in rows:
            time.sleep(count / len(rows))
            progress(1)
        return {"vectors": np.zeros((len(rows), 1), np.float32)}

    return compute
