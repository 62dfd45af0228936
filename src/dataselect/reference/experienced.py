"""IFD's pre-experienced model: the model after brief training on some rows of every cluster.

Source: arXiv 2308.12032, tianyi-lab/Cherry_LLM (clusters, percentiles, rate). The number of epochs
is not certain there, and its rows are spaced in the data's order; here it is the order of their
loss. `most_rows` is from the cost formula of arXiv 2503.01807.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from dataselect.compute.distributed import Processes
from dataselect.data import shards, tables
from dataselect.data.checkpoints import Fitted
from dataselect.embed.hidden_states import hidden_states
from dataselect.embed.losses import losses
from dataselect.errors import InputError
from dataselect.models.settings import ModelSettings
from dataselect.numerics.draws import derived_seed
from dataselect.numerics.kmeans import kmeans
from dataselect.reference import Reference
from dataselect.settings import Fraction, NonNegativeInt, PositiveInt
from dataselect.train.fit import (
    FullWeights,
    Optimizer,
    Recipe,
    Sharding,
    reference_micro_batch,
)
from dataselect.train.nets import check_types
from dataselect.train.rows import sample_rows
from dataselect.train.snapshots import fit_with_snapshots, save_model

Percentile = Annotated[float, Ge(0), Le(100)]


@dataclass(frozen=True)
class Choice:
    """How the rows are chosen that the model is fitted on: see `experienced`."""

    clusters: int
    per_cluster: int
    low: float
    high: float
    most_rows: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise InputError(
                f"methods.yaml: experienced: low ({self.low}) is above high ({self.high}). Swap."
            )

    def rows_passed(self, rows: int, epochs: int) -> float:
        """How many rows of a pool pass through the model: twice each, then some in training."""
        measured = min(self.most_rows, rows)
        fitted = min(self.clusters * self.per_cluster, rows)
        return 2.0 * measured + 3.0 * epochs * fitted  # a step costs some three passes


def experienced(
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
    skip_steps: NonNegativeInt = 0,
    gradient_checkpointing: bool = False,
    sharding: Sharding = "none",
    weights: FullWeights = "float32",
    optimizer: Optimizer = "adamw",
    warmup: Fraction = 0.03,
) -> Reference:
    """Fine-tunes on a few rows of every cluster of instructions; one checkpoint, at the end.

    Instructions (all outside the responses) are clustered by their mean last hidden state. A
    cluster's rows are evenly spaced by the loss of their instruction.

    Args:
        seed: of the rows' sample, the clusters, and the order of training.
        clusters: the number of clusters, at most one per row.
        per_cluster: the most rows taken from a cluster.
        low, high: percentiles (0 to 100) of a cluster's losses, between which its rows lie.
        most_rows: of a larger pool only this many rows are measured, drawn by id and `seed`.
        micro_batch_size: the largest that divides both this and `batch_size` is used.

    Raises:
        InputError: `low` is above `high`; or, when fitted, no row's instruction can be measured.
    """
    choice = Choice(clusters, per_cluster, low, high, most_rows)
    recipe = Recipe(
        epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, warmup=warmup,
        micro_batch_size=reference_micro_batch(batch_size, micro_batch_size),
        processes=processes, skip_steps=skip_steps, gradient_checkpointing=gradient_checkpointing,
        sharding=sharding, weights=weights, optimizer=optimizer,
        seed=derived_seed(seed, "pre-experienced model"),
    )  # fmt: skip
    check_types(recipe, "methods.yaml: experienced")
    fit = partial(_fit, choice=choice, recipe=recipe)
    passed = partial(choice.rows_passed, epochs=epochs)
    return Reference(fit=fit, produces="models", checkpoints=1, rows_passed=passed, recipe=recipe)


def _fit(model: ModelSettings, pool: Path, home: Path, *, choice: Choice, recipe: Recipe) -> Fitted:
    rows = sample_rows(pool, recipe.seed, choice.most_rows, "rows that IFD measures")
    vectors, nll, cost = _measure_instructions(model, pool, home, rows)
    usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1) & np.isfinite(nll)
    if not usable.any():
        raise InputError(
            f"none of {len(rows)} rows has an instruction that the model can be measured on. Set "
            "the model's `dtype: float32` if it overflows, or raise `max_tokens`."
        )
    rows, vectors, nll = rows[usable], vectors[usable], nll[usable]
    cluster_seed = derived_seed(recipe.seed, "clusters of instructions")
    cluster = kmeans(vectors, choice.clusters, cluster_seed, iterations=300)
    chosen = rows[pick_evenly(cluster, nll, choice.per_cluster, choice.low, choice.high)]
    fitted = fit_with_snapshots(model, pool, chosen, home, recipe, 1, save_model)
    return fitted._replace(tokens=fitted.tokens + cost.tokens, flops=fitted.flops + cost.flops)


def _measure_instructions(
    model: ModelSettings, pool: Path, home: Path, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, shards.ShardTotals]:
    """Vectors (n d) and mean losses (n, nats per token) of instructions, in the rows' order."""
    from dataselect.models.precision import dtype_name

    table = home / "instructions.parquet"
    frame = pl.scan_parquet(pool, glob=False).filter(pl.col("row").is_in(rows.tolist())).collect()
    places = dict(zip(rows.tolist(), range(len(rows)), strict=True))
    frame = frame.with_columns(row=pl.col("row").replace_strict(places)).sort("row")
    tables.write("pool", frame, table)
    features = {
        "vectors": hidden_states(pooling="mean", over="masked_prompt", unit=False),
        "prompt_nll": losses(),
    }
    cost = shards.ShardTotals()
    arrays: dict[str, np.ndarray] = {}
    for name, feature in features.items():
        # The code is in the name of `home`.
        key = [name, asdict(model), dtype_name(model.dtype)]
        load = partial(feature.load, model, [])
        done = shards.write("pool", table, home / name, load, key, home=home / "shards")
        arrays[name] = shards.read_all(home / name / "pool")[name]
        cost.tokens += done.tokens
        cost.flops += done.flops
    return arrays["vectors"].astype(np.float32), arrays["prompt_nll"], cost


def pick_evenly(
    cluster: np.ndarray, nll: np.ndarray, count: int, low: float, high: float
) -> np.ndarray:
    """Up to `count` rows (int64) per cluster, evenly spaced by loss between two percentiles.

    A cluster of fewer rows is taken whole.

    Args:
        cluster: of every row, int64, n.
        nll: the rows' losses, n.
        low, high: percentiles of the losses of a cluster, 0 to 100.
    """
    chosen = []
    for number in np.unique(cluster):
        rows = np.flatnonzero(cluster == number)
        if len(rows) >= count:
            lowest, highest = np.percentile(nll[rows], [low, high])
            rows = rows[(nll[rows] >= lowest) & (nll[rows] <= highest)]
        rows = rows[np.argsort(nll[rows], kind="stable")]
        chosen.append(rows[:: max(1, len(rows) // count)][:count])
    return np.concatenate(chosen)
