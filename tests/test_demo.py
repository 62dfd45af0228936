"""The demo's world is what its generator makes, and as its README describes it."""

import shutil
import subprocess
import sys

import polars as pl
import pytest

from tests.helpers import ROOT

WORLD = ROOT / "demo" / "world"


@pytest.fixture(scope="module")
def world():
    return {
        name: pl.read_parquet(WORLD / f"{name}.parquet") for name in ("pool", "queries", "tests")
    }


def questions(frame):
    """The first user turn of every row."""
    turns = pl.col("messages").list.eval(pl.element().filter(pl.element().struct["role"] == "user"))
    return frame.select(turns.list.first().struct["content"])["content"]


def test_the_generator_makes_the_committed_files(tmp_path):
    shutil.copytree(
        ROOT / "demo", tmp_path / "demo", ignore=shutil.ignore_patterns("world", "base*")
    )
    subprocess.run([sys.executable, "demo/world.py"], cwd=tmp_path, check=True, capture_output=True)
    made = {p.name: pl.read_parquet(p) for p in (tmp_path / "demo/world").glob("*.parquet")}
    assert len(made) == 3
    for name, frame in made.items():
        assert frame.equals(pl.read_parquet(WORLD / name)), name


def test_the_world_is_as_large_as_it_should_be(world):
    sizes = world["pool"]["source"].value_counts()["count"]
    assert len(sizes) >= 12
    assert sizes.max() > 10 * sizes.min()
    tasks = world["tests"]["task"].unique()
    assert len(tasks) >= 6
    assert world["tests"]["task"].value_counts()["count"].to_list() == [100] * len(tasks)
    assert world["queries"]["task"].value_counts()["count"].to_list() == [8] * len(tasks)
    assert world["pool"]["messages"].is_duplicated().sum() > 100


def test_no_test_is_in_the_pool_or_among_the_queries(world):
    test_questions = set(questions(world["tests"]))
    assert not test_questions & set(questions(world["pool"]))
    assert not test_questions & set(questions(world["queries"]))


def test_the_base_model_is_small():
    files = [p for p in (ROOT / "demo/base_model").iterdir() if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 8_000_000
    assert (ROOT / "demo/base_model/model.safetensors").exists()
