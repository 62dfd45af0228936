"""S2L's proxy: a small model fine-tuned on the whole pool, with checkpoints along the way."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt

from dataselect.compute.distributed import Processes
from dataselect.data.checkpoints import Fitted
from dataselect.data.tables import row_count
from dataselect.models.settings import ModelSettings
from dataselect.numerics.draws import derived_seed
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


def proxy(
    *,
    seed: int,
    epochs: PositiveInt = 3,
    checkpoints: PositiveInt = 12,
    learning_rate: Annotated[float, Gt(0)] = 2e-5,
    batch_size: PositiveInt = 128,
    micro_batch_size: PositiveInt = 1,
    processes: Processes = "auto",
    skip_steps: NonNegativeInt = 0,
    gradient_checkpointing: bool = False,
    sharding: Sharding = "none",
    weights: FullWeights = "float32",
    optimizer: Optimizer = "adamw",
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine",
    warmup: Fraction = 0.03,
    group_by_length: bool = False,
) -> Reference:
    """Fine-tunes the whole model on every row of the pool; checkpoints are evenly spaced.

    A checkpoint is a model's folder, ready to load. The last is after the last step.

    Args:
        seed: of the rows' order.
        checkpoints: how many, and so the length of a row's trajectory; fewer where there are fewer
            steps. The paper took one every 500 steps and had 12.
        group_by_length: whether the rows of a step are of like length; true in the published code.
        micro_batch_size: the largest that divides both this and `batch_size` is used.
        The others are those of `train.fit.Recipe`.

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd (the recipe), which reads its checkpoints
    in no certain order.
    """
    recipe = Recipe(
        epochs=epochs, learning_rate=learning_rate, batch_size=batch_size,
        micro_batch_size=reference_micro_batch(batch_size, micro_batch_size), schedule=schedule,
        warmup=warmup, group_by_length=group_by_length, processes=processes,
        skip_steps=skip_steps, gradient_checkpointing=gradient_checkpointing, weights=weights,
        optimizer=optimizer, sharding=sharding, seed=derived_seed(seed, "proxy"),
    )  # fmt: skip
    check_types(recipe, "methods.yaml: proxy")
    return Reference(
        fit=partial(_fit, checkpoints=checkpoints, recipe=recipe),
        produces="models",
        checkpoints=checkpoints,
        rows_passed=lambda rows: float(epochs * rows),
        recipe=recipe,
    )


def _fit(
    model: ModelSettings, pool: Path, home: Path, *, checkpoints: int, recipe: Recipe
) -> Fitted:
    rows = sample_rows(pool, recipe.seed, row_count(pool), "rows of the proxy")
    return fit_with_snapshots(model, pool, rows, home, recipe, checkpoints, save_model)
