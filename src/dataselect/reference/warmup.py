"""LESS's warm-up: LoRA adapters, and Adam's moments, after every epoch on a part of the pool."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le

from dataselect.compute import distributed
from dataselect.compute.distributed import Processes
from dataselect.data.checkpoints import Fitted
from dataselect.data.tables import row_count
from dataselect.models.settings import ModelSettings
from dataselect.numerics.draws import derived_seed
from dataselect.reference import Reference
from dataselect.settings import Fraction, NonNegativeInt, PositiveInt
from dataselect.train.adapters import save_adapter
from dataselect.train.fit import Recipe, Sharding, Weights, reference_micro_batch
from dataselect.train.nets import check_types
from dataselect.train.rows import sample_rows
from dataselect.train.snapshots import fit_with_snapshots

MODULES = ("q_proj", "k_proj", "v_proj", "o_proj")


def warmup(
    *,
    seed: int,
    share: Annotated[float, Gt(0), Le(1)] = 0.05,
    epochs: PositiveInt = 4,
    learning_rate: Annotated[float, Gt(0)] = 2e-5,
    batch_size: PositiveInt = 128,
    micro_batch_size: PositiveInt = 1,
    processes: Processes = "auto",
    skip_steps: NonNegativeInt = 0,
    gradient_checkpointing: bool = False,
    sharding: Sharding = "none",
    weights: Weights = "float32",
    warmup: Fraction = 0.03,
    lora_rank: PositiveInt = 128,
    lora_alpha: PositiveInt = 512,
    lora_dropout: Fraction = 0.1,
    lora_modules: list[str] | tuple[str, ...] | Literal["all-linear"] = MODULES,
) -> Reference:
    """Trains LoRA adapters on a random share of the pool; a checkpoint per epoch.

    A checkpoint has `adapter_model.safetensors`, `adapter_config.json`, and `adam.safetensors` with
    the moments `exp_avg.NAME` and `exp_avg_sq.NAME` (float32) of the parameter of that name.

    Args:
        share: of the pool's rows, at least one row; drawn by id and `seed`.
        micro_batch_size: the largest that divides both this and `batch_size` is used.
        The others are those of `train.fit.Recipe`.

    Source: arXiv 2402.04333 (the defaults); here moments are stored by name, not by order.
    """
    recipe = Recipe(
        epochs=epochs, learning_rate=learning_rate, batch_size=batch_size,
        micro_batch_size=reference_micro_batch(batch_size, micro_batch_size), warmup=warmup,
        method="lora", lora_rank=lora_rank, lora_alpha=lora_alpha, lora_dropout=lora_dropout,
        lora_modules="all-linear" if lora_modules == "all-linear" else list(lora_modules),
        processes=processes, skip_steps=skip_steps, gradient_checkpointing=gradient_checkpointing,
        weights=weights, sharding=sharding, seed=derived_seed(seed, "warm-up"),
    )  # fmt: skip
    check_types(recipe, "methods.yaml: warmup")
    return Reference(
        fit=partial(_fit, share=share, epochs=epochs, recipe=recipe),
        produces="adapters",
        checkpoints=epochs,
        rows_passed=lambda rows: float(epochs * _count(share, rows)),
        recipe=recipe,
    )


def _fit(
    model: ModelSettings, pool: Path, home: Path, *, share: float, epochs: int, recipe: Recipe
) -> Fitted:
    count = _count(share, row_count(pool))
    rows = sample_rows(pool, recipe.seed, count, "rows of the warm-up")
    return fit_with_snapshots(model, pool, rows, home, recipe, epochs, save_adapters)


def _count(share: float, rows: int) -> int:
    return max(1, int(share * rows))


def save_adapters(net: Any, tokenizer: Any, optimizer: Any, folder: Path) -> None:
    """Saves adapters and their Adam moments, by parameter name; a `train.snapshots.Save`."""
    from safetensors.torch import save_file

    if not distributed.is_main_process():  # adapters and their moments are whole in every process
        return
    save_adapter(net, folder)
    state = getattr(optimizer, "optimizer", optimizer).state
    moments = {
        # A parameter whose every step was skipped has no moments yet.
        f"{moment}.{name}": state[parameter].get(moment, parameter * 0).float().contiguous()
        for name, parameter in net.named_parameters()
        if parameter.requires_grad
        for moment in ("exp_avg", "exp_avg_sq")
    }
    save_file(moments, folder / "adam.safetensors")
