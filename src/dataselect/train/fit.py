"""Fits a model on conversations with transformers' Trainer, for training and for references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt

from dataselect import report
from dataselect.compute import distributed
from dataselect.compute.memory import free_memory, is_out_of_memory
from dataselect.errors import InputError
from dataselect.settings import Fraction, NonNegativeInt, OnlyWith, PositiveInt
from dataselect.train.divergence import check_finished
from dataselect.train.sharding import check_processes
from dataselect.train.trainer import last_complete_checkpoint, make_trainer, progress_bar

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

    from dataselect.models.chat import Encoded

T = TypeVar("T")

Weights = Literal["float32", "bfloat16", "nf4"]
FullWeights = Literal["float32", "bfloat16"]
Optimizer = Literal["adamw", "adamw_float32", "adamw_8bit"]
Sharding = Literal["none", "full"]

WITH_LORA = OnlyWith("method", "lora")
WITHOUT_STEPS = OnlyWith("steps", None)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is fitted: the block `train` of params.yaml, and what references build.

    On one machine, runs with the same numbers of threads and processes repeat to the bit.

    Attributes:
        epochs: passes over the rows; in `train`, fractions are allowed.
        steps: optimiser steps instead of `epochs`: runs of unequal budgets get equal training.
        learning_rate: AdamW's highest.
        batch_size: rows per optimiser step, reached by accumulating micro-batches.
        micro_batch_size: rows that pass through the model together; shrinks where memory runs out.
        schedule: how the learning rate falls after the warm-up.
        warmup: the fraction of all steps in which the learning rate rises.
        weight_decay: AdamW's.
        max_grad_norm: gradients are clipped to this norm.
        group_by_length: whether the rows of a step are of like length, which saves padding.
        packed: whether the rows of a micro-batch are one behind the other instead of padded. The
            run ends where the model's attention would let a row see another.
        loss_per: `token` averages over all response tokens of a step; `micro_batch` averages the
            means of its micro-batches, as older trainers do.
        method: `full` fine-tuning, or `lora`: adapters on frozen weights.
        lora_rank, lora_alpha, lora_dropout: LoRA's; adapters are scaled by lora_alpha / lora_rank.
        lora_modules: names of the linear layers that get adapters, or `all-linear`.
        dtype: what is computed in: `bfloat16` by autocast; `auto` does so on a GPU that supports
            it, and wherever `weights` are not float32.
        weights: the type that weights are held in. `bfloat16` halves weights, gradients and
            AdamW's moments; `nf4` is 4 bits for LoRA's frozen weights (QLoRA, bitsandbytes).
        optimizer: `adamw` holds its moments in the weights' type, `adamw_float32` in float32,
            `adamw_8bit` in 8 bits (bitsandbytes).
        gradient_checkpointing: computes activations twice, to hold fewer of them in memory.
        sharding: `full`: of weights, gradients and optimiser each process holds a part (FSDP2).
        memory: of each GPU that trains, like `80GB`, where the plan is made on another machine; it
            refuses what cannot fit. Nothing is trained again when it changes.
        save_steps: optimiser steps between two checkpoints to resume from.
        skip_steps: how many steps with a loss or gradient that is not finite are skipped; the
            next one ends the run.
        threads: CPU threads; None leaves torch's default. Another number changes the last bits.
        processes: how many share every step by data (accelerate); `auto` is one per GPU. Lowered
            until it divides a step's micro-batches, and to 1 where `loss_per` is `micro_batch`.
            Another number changes the last bits, and with dropout the whole run.
        seed: of the rows' order, LoRA's first weights and dropout.

    Source: the defaults are the recipe of arXiv 2503.01807.
    """

    epochs: Annotated[float, Gt(0), WITHOUT_STEPS] = 2
    steps: PositiveInt | None = None
    learning_rate: Annotated[float, Gt(0)] = 2e-5
    batch_size: PositiveInt = 128
    micro_batch_size: PositiveInt = 1
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    warmup: Fraction = 0.03
    weight_decay: Annotated[float, Ge(0)] = 0.0
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    group_by_length: bool = False
    packed: bool = False
    loss_per: Literal["token", "micro_batch"] = "token"
    method: Literal["full", "lora"] = "full"
    lora_rank: Annotated[PositiveInt, WITH_LORA] = 128
    lora_alpha: Annotated[PositiveInt, WITH_LORA] = 512
    lora_dropout: Annotated[Fraction, WITH_LORA] = 0.1
    lora_modules: Annotated[list[str] | Literal["all-linear"], WITH_LORA] = "all-linear"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    weights: Weights = "float32"
    optimizer: Optimizer = "adamw"
    gradient_checkpointing: bool = False
    sharding: Sharding = "none"
    memory: str | None = None
    save_steps: PositiveInt = 100
    skip_steps: NonNegativeInt = 0
    threads: PositiveInt | None = None
    processes: distributed.Processes = "auto"
    seed: int = 0

    def passes(self, row_count: int) -> float:
        """How often training passes over `row_count` rows; an epoch's last step may be smaller."""
        if self.steps is None:
            return self.epochs
        return self.steps / -(-row_count // self.batch_size)


def fit(
    net: Any,
    tokenizer: Any,
    rows: Sequence[Encoded],
    home: Path,
    recipe: Recipe,
    callbacks: Sequence[TrainerCallback] = (),
    everywhere: Sequence[TrainerCallback] = (),
) -> Trainer:
    """Trains on the response tokens of rows, from the last checkpoint in `home` where one is.

    The optimiser is AdamW; each epoch has an order of its own, drawn from the seed. Called in
    several processes (see `fit_distributed`), each does its part of every step: the same rows, in
    the same order, as in one process.

    Args:
        net: the model, as `nets.load_trainable` returns it.
        home: a folder for checkpoints; a run that was killed ends with the same weights.
        callbacks: called in the main process only.
        everywhere: callbacks that are called in every process.

    Raises:
        InputError: training diverged (see `divergence`); or the model's own code does not let
            several processes share a step.
    """
    bar = progress_bar()
    shown = [bar, *callbacks] if distributed.is_main_process() else []
    trainer = make_trainer(net, tokenizer, rows, home, recipe, [*shown, *everywhere])
    if recipe.loss_per == "micro_batch":
        trainer.model_accepts_loss_kwargs = False
    elif distributed.world_size() > 1 and not trainer.model_accepts_loss_kwargs:
        raise InputError(
            "train.processes: this model's own code averages losses by micro-batch, so several "
            "processes cannot share a step. Set `train.processes: 1`."
        )
    with trainer.args.main_process_first(local=False):
        checkpoint = last_complete_checkpoint(home)
    if checkpoint and distributed.is_main_process():
        report.console.print(f"continues from step {checkpoint.rsplit('-', 1)[1]}")
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        bar.close()
    check_finished(trainer)
    return trainer


def check_batch(batch_size: int, micro_batch_size: int, where: str) -> None:
    """Checks that a batch consists of whole micro-batches.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: it does not.
    """
    if batch_size % micro_batch_size:
        raise InputError(
            f"{where}.batch_size: expected a multiple of train.micro_batch_size "
            f"({micro_batch_size}); found {batch_size}. Change one of them."
        )


def reference_micro_batch(batch_size: int, micro_batch_size: int) -> int:
    """The largest micro-batch that divides both: a reference's batch need not be train's."""
    return gcd(batch_size, micro_batch_size)


def mean_loss(trainer: Trainer) -> float:
    """The mean loss of all steps but skipped ones, nats per token."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return sum(losses) / len(losses)


def fit_distributed(work: Callable[..., T], *args: Any, recipe: Recipe) -> T:
    """Runs `work(*args, recipe)` in every process that shares a step; the main one's result.

    Where memory runs out it runs again with smaller micro-batches: the same rows in the same
    steps, from the last checkpoint on.

    Args:
        work: a module's function; it, its arguments and its result travel between processes.

    Raises:
        InputError: there is not memory enough for a single row; or one process to share a model.
    """
    while True:
        processes = process_count(recipe)
        check_processes(recipe, processes, "train")
        if recipe.processes not in ("auto", processes):
            report.console.print(
                f"train.processes: {recipe.processes} requested, {processes} used; "
                "see docs/large-pools.md"
            )
        try:
            return distributed.launch(processes, work, *args, recipe)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # After the handler, so that what the failed run held is free by now.
        recipe = replace(recipe, micro_batch_size=_next_micro_batch(recipe))
        report.console.print(
            f"out of memory: continuing with micro-batches of {recipe.micro_batch_size}"
        )
        free_memory()


def _next_micro_batch(recipe: Recipe) -> int:
    """The largest micro-batch of at most half the rows that divides a batch."""
    if recipe.micro_batch_size == 1:
        raise InputError(
            "out of memory while training on one row at a time. Set "
            "`train.gradient_checkpointing: true`, `train.weights: bfloat16` or "
            "`train.method: lora`, or lower `model.max_tokens`; see docs/large-models.md."
        )
    half = recipe.micro_batch_size // 2
    return max(size for size in range(1, half + 1) if recipe.batch_size % size == 0)


def process_count(recipe: Recipe, gpus: int | None = None) -> int:
    """How many processes share a recipe's steps: each takes a micro-batch at a time.

    It is 1 with `loss_per: micro_batch`: what fills up an epoch for several would count as one.

    Args:
        gpus: how many there are; None: as many as torch sees.
    """
    if recipe.loss_per == "micro_batch":
        return 1
    micro_batches = recipe.batch_size // recipe.micro_batch_size
    return distributed.usable_processes(recipe.processes, micro_batches, gpus)
