"""IFD's pre-experienced model: which rows it sees, and that it is the one that measures."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from dataselect.data import shards, tables
from dataselect.embed.losses import losses
from dataselect.embed.run import embed
from dataselect.errors import InputError
from dataselect.models.chat import Chat
from dataselect.models.load import load_causal, load_tokenizer
from dataselect.numerics.draws import shuffled_rows
from dataselect.numerics.kmeans import kmeans
from dataselect.plan.run import plan
from dataselect.reference.experienced import experienced, pick_evenly
from dataselect.reference.run import fit_reference
from tests.helpers import GOLDEN, MODEL, ROOT

SHORT = {**MODEL, "md5": "0", "max_tokens": 256}


def test_rows_are_evenly_spaced_between_the_percentiles_of_their_cluster():
    # Cluster 0: losses 0…8, the middle half is 2…6 (five rows); two of them: every second: 2, 4.
    # Cluster 1: one row, fewer than asked: whole.
    nll = np.asarray([8, 0, 7, 1, 6, 2, 5, 3, 4, 50], dtype=np.float32)
    cluster = np.asarray([0] * 9 + [1])
    chosen = pick_evenly(cluster, nll, 2, 25, 75)
    assert nll[chosen].tolist() == [2, 4, 50]
    assert nll[pick_evenly(cluster, nll, 9, 25, 75)].tolist() == [2, 3, 4, 5, 6, 50]
    assert nll[pick_evenly(cluster, nll, 9, 0, 100)].tolist() == [*range(9), 50]
    assert nll[pick_evenly(cluster, nll, 10, 25, 75)].tolist() == [*range(9), 50]  # fewer than ten


@pytest.fixture
def pool(in_scratch):
    rows = pl.read_parquet(GOLDEN / "pool.parquet").head(40).drop("row", strict=False)
    rows = rows.with_row_index("row").cast({"row": pl.Int64})
    tables.write("pool", rows, in_scratch / "out/pool.parquet")
    tables.write("queries", tables.empty("queries"), in_scratch / "out/queries.parquet")
    return rows


def instructions(rows):
    """Mean last hidden state and mean loss of what is outside the responses, row by row."""
    net, tokenizer = load_causal(MODEL), load_tokenizer(MODEL)
    vectors, nll = [], []
    for row in Chat(tokenizer, "tulu", 256).encode(rows):
        ids = torch.from_numpy(row.ids.astype(np.int64))[None]
        with torch.no_grad():
            found = net(ids, output_hidden_states=True)
        prompt = torch.from_numpy(~row.response)
        vectors.append(found.hidden_states[-1][0][prompt].mean(0).numpy())
        each = torch.nn.functional.cross_entropy(found.logits[0, :-1], ids[0, 1:], reduction="none")
        nll.append(each[prompt[1:]].mean().item())
    return np.stack(vectors), np.asarray(nll, dtype=np.float32)


def test_percentiles_that_leave_nothing_are_refused(pool, in_scratch):
    wrong = {**FEW, "low": 75, "high": 25}
    with pytest.raises(InputError, match=r"low \(75\) is above high \(25\)"):
        experienced(SHORT, in_scratch / "out/pool.parquet", in_scratch, seed=0, **wrong)


FEW = {"clusters": 4, "per_cluster": 3, "batch_size": 4, "learning_rate": 5e-3}


def test_it_is_fitted_on_a_few_rows_of_every_cluster(pool, in_scratch):
    table = in_scratch / "out/pool.parquet"
    done = experienced(SHORT, table, in_scratch, seed=0, micro_batch_size=4, **FEW)
    # The same rows from plain numbers: raw means of the prompt's states, losses of its tokens.
    vectors, nll = instructions(pool["messages"].to_list())
    order = shuffled_rows(pool["id"].to_list(), 0)
    cluster = kmeans(vectors[order], 4, 0, iterations=300)
    chosen = order[pick_evenly(cluster, nll[order], 3, 25, 75)]
    encoded = Chat(load_tokenizer(MODEL), "tulu", 256).encode(pool["messages"].to_list())
    kept = [i for i in chosen if encoded[i].response[1:].any()]
    assert done.rows == len(kept)
    seen = sum(len(row.ids) for row in encoded)
    assert done.tokens == 2 * seen + sum(len(encoded[i].ids) for i in kept)
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
    method = {"reference": {"experienced": FEW}, "features": {"losses": {"direct": True}},
              "scorer": "ifd", "aggregator": "top"}  # fmt: skip
    sections = plan(params, {"ifd": method})
    out = in_scratch / "out"
    fit_reference(sections["reference"], out / "pool.parquet", out / "reference")
    embed(sections["embed"], out)
    told = json.loads((out / "reference/reference.json").read_text())
    assert [name for name, _ in told["checkpoints"]] == ["00"]
    found = shards.read_all(out / "features/pool")
    rows = pool["messages"].to_list()
    fitted = losses({**SHORT, "name": str(out / "reference/00")}, direct=True)
    expected = fitted(rows, "pool", lambda *_: None)
    np.testing.assert_allclose(found["response_nll"], expected["response_nll"], rtol=1e-6)
    base = losses(SHORT, direct=True)(rows, "pool", lambda *_: None)
    assert np.nanmean(found["response_nll"]) < np.nanmean(base["response_nll"]) - 0.05
    assert str(ROOT) not in json.dumps(told)
