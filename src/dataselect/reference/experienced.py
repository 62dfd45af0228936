"""IFD's pre-experienced model: the base model after a brief look at a diverse thousand rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from dataselect.compute.distributed import Processes
from dataselect.data import fingerprint, shards, tables
from dataselect.data.checkpoints import Fitted
from dataselect.errors import InputError
from dataselect.numerics.kmeans import kmeans
from dataselect.settings import Fraction, PositiveInt
from dataselect.train.examples import sample_rows
from dataselect.train.fit import recipe
from dataselect.train.snapshots import fit_with_snapshots, save_model

FITS = "models"
Percentile = Annotated[float, Ge(0), Le(100)]


def checkpoints(**settings: object) -> int:
    """How many checkpoints there will be."""
    return 1


def work(
    *, rows: int, epochs: int, clusters: int, per_cluster: int, most_rows: int, **settings: object
) -> float:
    """How much there is to do on a pool of so many rows, in rows passed through the model."""
    looked_at, fitted = min(most_rows, rows), min(clusters * per_cluster, rows)
    return 2.0 * looked_at + 3.0 * epochs * fitted  # two forward passes; a step is some three


def experienced(
    model: dict[str, Any],
    pool: Path,
    home: Path,
    *,
    seed: int,
    clusters: PositiveInt = 100,
    per_cluster: PositiveInt = 10,
    low: Percentile = 25,
    high: Percentile = 75,
    most_rows: PositiveInt = 200_000,
    epochs: PositiveInt = 1,
    learning_rate: Annotated[float, Gt(0)] = 2e-5,
    batch_size: PositiveInt = 128,
    micro_batch_size: PositiveInt = 1,
    processes: Processes = "auto",
    warmup: Fraction = 0.03,
) -> Fitted:
    """Fine-tunes on a few rows of every cluster of instructions; one checkpoint, at the end.

    Instructions (a row's tokens outside its responses) are clustered by their mean last hidden
    state; of each cluster come up to `per_cluster` rows, evenly spaced among those whose
    instruction's loss is between two percentiles of the cluster's.

    Args:
        clusters: as many as rows, where there are fewer rows.
        most_rows: of a larger pool, so many are looked at, drawn by id and seed.
        micro_batch_size: as many rows at a time as train takes, or the most that divide a batch.
        processes: as many as train takes: see `ranks`.

    Raises:
        InputError: no row has a finite instruction; or `low` is above `high`.

    Source: arXiv 2308.12032, tianyi-lab/Cherry_LLM (clusters, percentiles, rate); the number of
    epochs is not certain there, and it spaces the rows in the data's order where this does in the
    order of their loss. `most_rows` is the cost formula's of arXiv 2503.01807.
    """
    how = recipe(locals())
    if low > high:
        raise InputError(f"methods.yaml: experienced: low ({low}) is above high ({high}). Swap.")
    rows = sample_rows(pool, seed, most_rows)
    vectors, nll, cost = _instructions(model, pool, home, rows)
    usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1) & np.isfinite(nll)
    if not usable.any():
        raise InputError(
            f"none of {len(rows)} rows has an instruction that the model can be measured on. Set "
            "the model's `dtype: float32` if it overflows, or raise `max_tokens`."
        )
    rows, vectors, nll = rows[usable], vectors[usable], nll[usable]
    cluster = kmeans(vectors, clusters, seed, iterations=300)
    chosen = rows[pick_evenly(cluster, nll, per_cluster, low, high)]
    done = fit_with_snapshots(model, pool, chosen, home, how, 1, save_model)
    return done._replace(tokens=done.tokens + cost.tokens, flops=done.flops + cost.flops)


def _instructions(
    model: dict[str, Any], pool: Path, home: Path, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, shards.ShardTotals]:
    """Vectors (n d) and mean losses (n, nats per token) of instructions, in the rows' order."""
    from dataselect.embed.hidden_states import hidden_states
    from dataselect.embed.losses import losses
    from dataselect.models.load import torch_dtype

    table = home / "instructions.parquet"
    frame = pl.scan_parquet(pool).filter(pl.col("row").is_in(rows.tolist())).collect()
    places = dict(zip(rows.tolist(), range(len(rows)), strict=True))
    frame = frame.with_columns(row=pl.col("row").replace_strict(places)).sort("row")
    tables.write("pool", frame, table)
    cost = shards.ShardTotals()
    arrays: dict[str, np.ndarray] = {}
    looks = {
        "vectors": lambda: hidden_states(model, pooling="mean", over="prompt", unit=False),
        "prompt_nll": lambda: losses(model, direct=False),
    }
    for name, load in looks.items():
        precision = str(torch_dtype(model["dtype"]))
        key = ["experienced", name, model, precision, fingerprint.code_hash(Path(__file__))]
        done = shards.write("pool", table, home / name, load, key, home=home / "shards")
        arrays[name] = shards.read_all(home / name / "pool")[name]
        cost.tokens += done.tokens
        cost.flops += done.flops
    return arrays["vectors"].astype(np.float32), arrays["prompt_nll"], cost


def pick_evenly(
    cluster: np.ndarray, nll: np.ndarray, count: int, low: float, high: float
) -> np.ndarray:
    """Up to `count` rows (int64) a cluster, evenly spaced by loss between two percentiles of it.

    A cluster of fewer rows is taken whole.
    """
    chosen = []
    for one in np.unique(cluster):
        mine = np.flatnonzero(cluster == one)
        if len(mine) >= count:
            least, most = np.percentile(nll[mine], [low, high])
            mine = mine[(nll[mine] >= least) & (nll[mine] <= most)]
        mine = mine[np.argsort(nll[mine], kind="stable")]
        chosen.append(mine[:: max(1, len(mine) // count)][:count])
    return np.concatenate(chosen)
