"""Engines that spread a model: what they ask for, what they refuse, and for how long it holds."""

import gc

import pytest

from dataselect.compute.local import local
from dataselect.compute.placement import Placement, current_placement, placed, use_placement
from dataselect.compute.ray import ray
from dataselect.data import files
from dataselect.embed.run import embed
from dataselect.plan.method import engine_part
from tests.compute.conftest import SECTION, shard_bytes
from tests.helpers import change, mistake, planned


def test_the_settings_of_an_engine_become_its_placement():
    assert local().placement is None
    sizes = {"gpu": "60GB", "cpu": "0.5TB"}
    engine = local(device_map="auto", max_memory=sizes)
    assert engine.placement == Placement(gpu=60 * 10**9, cpu=500 * 10**9)
    assert engine.parallel_workers() == 1
    assert ray(gpus=4, device_map="auto").placement == Placement()


def test_what_makes_no_sense_is_refused():
    for engine, expected in {
        "workers: 3": {"local": {"workers": 3, "device_map": "auto"}},
        "memory: 6GB": {"local": {"memory": "6GB", "device_map": "auto"}},
    }.items():
        name, value = engine.split(": ")
        message = mistake(engine_part, expected)
        assert f"engine.local.{name}: found `{value}` beside `device_map: auto`" in message
    message = mistake(engine_part, {"ray": {"cpus": 2, "device_map": "auto"}})
    assert "`gpus: 0`: expected as many whole GPUs" in message
    message = mistake(engine_part, {"local": {"max_memory": {"cpu": "6GB"}}})
    assert "max_memory: has an effect only with `device_map: auto`" in message
    wrong = {"device_map": "auto", "max_memory": {"cpu": "much"}}
    message = mistake(engine_part, {"local": wrong})
    assert "engine.local.max_memory.cpu: expected a size in MB, GB or TB" in message
    message = mistake(engine_part, {"local": {"device_map": "auto", "max_memory": {"disk": "6GB"}}})
    assert "engine.local.max_memory" in message
    message = mistake(engine_part, {"local": {"device_map": "cuda:0"}})
    assert "engine.local.device_map: expected 'auto'; found 'cuda:0'" in message


def test_a_placement_holds_in_its_body_and_none_changes_nothing():
    outer, inner = Placement(cpu=1), Placement(cpu=2)
    assert current_placement() is None
    with placed(outer):
        with placed(None):
            assert current_placement() == outer
        with placed(inner):
            use_placement(None)
            assert current_placement() == inner
        assert current_placement() == outer
    assert current_placement() is None


@pytest.mark.slow
def test_a_placement_decides_no_section_and_no_shard(home, pool, by_one_process):
    change({"method": "rds"})
    before = planned()
    change({"engine": {"local": {"device_map": "auto"}}})
    after = planned()
    assert after.engine != before.engine
    assert {**vars(after), "engine": None} == {**vars(before), "engine": None}
    spread = local(device_map="auto", max_memory={"cpu": "1MB"})
    done = embed(SECTION, pool, rows=8, engine=spread)
    assert done["pool"].computed
    assert shard_bytes(pool) == by_one_process
    gc.collect()  # a model with hooks is part of a cycle
    assert list((files.scratch_folder() / "offload").glob("*")) == []
