"""IFD's pre-experienced model: which rows it sees, and that it is the one that measures."""

import json

import numpy as np
import polars as pl
import pytest

from dataselect import shards, tables
from dataselect.embedding import embed
from dataselect.features.losses import losses
from dataselect.plan import plan
from dataselect.reference import refer
from dataselect.references.experienced import experienced, spread
from tests.conftest import GOLDEN, MODEL, ROOT

SHORT = {**MODEL, "md5": "0", "max_tokens": 256}


def test_rows_are_evenly_spaced_between_the_percentiles_of_their_cluster():
    # Cluster 0: losses 0…8, the middle half is 2…6 (five rows); two of them: every second: 2, 4.
    # Cluster 1: one row, its own middle.
    nll = np.asarray([8, 0, 7, 1, 6, 2, 5, 3, 4, 50], dtype=np.float32)
    cluster = np.asarray([0] * 9 + [1])
    chosen = spread(cluster, nll, 2, 25, 75)
    assert nll[chosen].tolist() == [2, 4, 50]
    assert nll[spread(cluster, nll, 9, 25, 75)].tolist() == [2, 3, 4, 5, 6, 50]
    assert nll[spread(cluster, nll, 9, 0, 100)].tolist() == [*range(9), 50]


@pytest.fixture
def pool(in_scratch):
    rows = pl.read_parquet(GOLDEN / "pool.parquet").head(40).drop("row", strict=False)
    rows = rows.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", rows, in_scratch / "out/pool.parquet")
    tables.write("queries", tables.empty("queries"), in_scratch / "out/queries.parquet")
    return rows


FEW = {"clusters": 4, "per_cluster": 3, "batch_size": 4, "learning_rate": 5e-3, "threads": 1}


def test_it_is_fitted_on_a_few_rows_of_every_cluster(pool, in_scratch):
    table = in_scratch / "out/pool.parquet"
    done = experienced(SHORT, table, in_scratch, seed=0, micro_batch_size=4, **FEW)
    assert 4 <= done.rows <= 12
    assert len(done.checkpoints) == 1
    assert done.steps == -(-done.rows // 4)
    few = experienced(
        SHORT, table, in_scratch / "few", seed=0, micro_batch_size=4, most_rows=6, **FEW
    )
    assert few.rows <= 6
    assert few.tokens < done.tokens


def test_losses_are_those_of_the_pre_experienced_model(pool, in_scratch):
    (in_scratch / "any.parquet").touch()
    params = {
        "pool": {"path": "any.parquet"},
        "tests": {"path": "any.parquet"},
        "method": "ifd",
        "budget": 5,
        "model": {"name": MODEL["name"], "dtype": "float32", "max_tokens": 256},
        "train": {"batch_size": 4, "micro_batch_size": 4, "threads": 1},
        "eval": {"max_new_tokens": 8},
    }
    few = {k: v for k, v in FEW.items() if k != "threads"}
    method = {"reference": {"experienced": few}, "features": {"losses": {"direct": True}},
              "scorer": "ifd", "aggregator": "top"}  # fmt: skip
    sections = plan(params, {"ifd": method})
    out = in_scratch / "out"
    refer(sections["reference"], out / "pool.parquet", out / "reference")
    embed(sections["embed"], out)
    told = json.loads((out / "reference/reference.json").read_text())
    assert [name for name, _ in told["checkpoints"]] == ["00"]
    found = shards.read_all(out / "features/pool")
    rows = pool["messages"].to_list()
    fitted = losses({**SHORT, "name": str(out / "reference/00")}, direct=True)
    expected = fitted(rows, "pool", lambda *_: None)
    np.testing.assert_allclose(found["response_nll"], expected["response_nll"], rtol=1e-6)
    base = losses(SHORT, direct=True)(rows, "pool", lambda *_: None)
    assert np.nanmean(found["response_nll"]) < np.nanmean(base["response_nll"]) - 0.1
    assert str(ROOT) not in json.dumps(told)
