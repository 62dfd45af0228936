"""Fixtures of the engines' tests: golden rows to embed, and a single thread."""

from dataclasses import replace

import polars as pl
import pytest

from dataselect.data import tables
from dataselect.embed.run import EmbedSection, embed
from dataselect.settings import Part
from tests.helpers import GOLDEN, MODEL, complete


@pytest.fixture
def pool(in_scratch):
    """Golden rows as a pool and queries, in `out/`."""
    frame = pl.read_parquet(GOLDEN / "pool.parquet").head(90).drop("row", strict=False)
    (in_scratch / "out/reference").mkdir(parents=True)
    (in_scratch / "out/reference/reference.json").write_text('{"checkpoints": []}')
    numbered = frame.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", numbered, in_scratch / "out/pool.parquet")
    queries = complete("queries", frame.head(5).with_columns(task=pl.lit("t")))
    tables.write("queries", queries, in_scratch / "out/queries.parquet")
    return in_scratch / "out"


SECTION = EmbedSection(
    features=Part("hidden_states", {}),
    model=replace(MODEL, max_tokens=128),
    queries=True,
    reference=False,
    code="",
)


def shard_bytes(out):
    return {p.relative_to(out): p.read_bytes() for p in sorted(out.rglob("*.safetensors"))}


@pytest.fixture
def by_one_process(pool):
    """The shards of a run in this process, which are then removed."""
    done = embed(SECTION, pool, rows=8)
    assert done["pool"].computed > 5
    written = shard_bytes(pool)
    forget(pool)
    return written


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
