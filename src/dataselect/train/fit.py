"""Fits a model on conversations with transformers' Trainer: what training and references share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt

from dataselect import report
from dataselect.compute import distributed
from dataselect.compute.memory import free_memory, is_out_of_memory
from dataselect.errors import InputError
from dataselect.models.chat import Encoded
from dataselect.settings import Fraction, PositiveInt
from dataselect.train.trainer import last_whole_checkpoint, make, progress

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is fitted: the block `train` of params.yaml, and what references build.

    On one machine and with the same number of threads and processes, runs repeat to the bit.

    Attributes:
        epochs: passes over the rows; training may end within one.
        learning_rate: AdamW's highest.
        batch_size: rows per optimiser step, reached by accumulating micro-batches.
        micro_batch_size: rows that pass through the model together; halved where memory runs out.
        schedule: how the learning rate falls after the warm-up.
        warmup: the fraction of all steps in which the learning rate rises.
        weight_decay: AdamW's.
        max_grad_norm: gradients are clipped to this norm.
        loss_per: `token` averages over all response tokens of a step; `micro_batch` averages the
            means of its micro-batches, as older trainers do.
        method: `full` fine-tuning, or `lora`: adapters on frozen weights.
        lora_rank: LoRA's r.
        lora_alpha: LoRA's scale, times r.
        lora_dropout: dropout before the adapters.
        lora_modules: names of the linear layers that get adapters, or `all-linear`.
        dtype: `bfloat16` trains fp32 weights under bf16 autocast; `auto` does so on a GPU that
            supports it; `float32` never.
        gradient_checkpointing: computes activations twice, to hold fewer of them in memory.
        save_steps: optimiser steps between two checkpoints to resume from.
        threads: CPU threads; another number changes the last bits. None leaves torch's default.
        processes: how many share every step by data (accelerate); `auto` is one per GPU. The
            number is lowered until it divides the micro-batches of a step, and to 1 where
            `loss_per` is `micro_batch`. Another number changes the last bits, and with dropout
            the whole run.
        seed: of the rows' order, LoRA's first weights and dropout.

    Source: the defaults are the recipe of arXiv 2503.01807.
    """

    epochs: Annotated[float, Gt(0)] = 2
    learning_rate: Annotated[float, Gt(0)] = 2e-5
    batch_size: PositiveInt = 128
    micro_batch_size: PositiveInt = 1
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    warmup: Fraction = 0.03
    weight_decay: Annotated[float, Ge(0)] = 0.0
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    loss_per: Literal["token", "micro_batch"] = "token"
    method: Literal["full", "lora"] = "full"
    lora_rank: PositiveInt = 128
    lora_alpha: PositiveInt = 512
    lora_dropout: Fraction = 0.1
    lora_modules: list[str] | Literal["all-linear"] = "all-linear"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    save_steps: PositiveInt = 100
    threads: PositiveInt | None = None
    processes: distributed.Processes = "auto"
    seed: int = 0


def reference_micro_batch(batch_size: int, micro_batch_size: int) -> int:
    """The largest micro-batch that divides both: a reference's batch need not be train's."""
    return gcd(batch_size, micro_batch_size)


#: What `fit` reads of a recipe, with the defaults of what not every caller lets its user set.
DEFAULTS: dict[str, Any] = {
    "schedule": "linear",
    "warmup": 0.03,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "loss_per": "token",
    "dtype": "auto",
    "gradient_checkpointing": False,
    "save_steps": 100,
}


#: What LoRA can be put on.
LINEAR = ("Linear", "Conv1D")


def fit(
    net: Any,
    tokenizer: Any,
    rows: Sequence[Encoded],
    home: Path,
    recipe: dict[str, Any],
    callbacks: Sequence[TrainerCallback] = (),
) -> Trainer:
    """Trains on the response tokens of rows; goes on from the last checkpoint in `home`.

    The optimiser is AdamW; the order of the rows is drawn anew each epoch from the seed. Called in
    several processes (see `ranks`), each does its part of every step: the same rows, in the same
    order, as one alone.

    Args:
        net: the model, in fp32, as `prepare` returns it.
        home: a folder for checkpoints; a run that was killed ends with the same weights.
        recipe: epochs, learning_rate, batch_size, micro_batch_size, seed, and what changes of
            `DEFAULTS`.
        callbacks: what else is to be told of the steps, by the first process of several.
    """
    from transformers import set_seed

    recipe = DEFAULTS | recipe
    set_seed(recipe["seed"])
    bar = progress()
    shown = [bar, *callbacks] if distributed.is_main_process() else []
    trainer = make(net, tokenizer, rows, home, recipe, shown)
    if recipe["loss_per"] == "micro_batch":
        trainer.model_accepts_loss_kwargs = False
    elif distributed.world_size() > 1 and not trainer.model_accepts_loss_kwargs:
        raise InputError(
            "train.processes: this model's own code averages losses by micro-batch, and so cannot "
            "share a step. Set `train.processes: 1`."
        )
    with trainer.args.main_process_first(local=False):
        last = last_whole_checkpoint(home)
    if last and distributed.is_main_process():
        report.console.print(f"goes on from step {last.rsplit('-', 1)[1]}")
    try:
        trainer.train(resume_from_checkpoint=last)
    finally:
        bar.close()
    return trainer


def recipe(settings: dict[str, Any]) -> dict[str, Any]:
    """What `fit` reads, of a reference's settings.

    The micro-batch is train's, which need not divide the reference's batch: the most that do.
    """
    names = {"seed", "epochs", "learning_rate", "batch_size", "processes", *DEFAULTS}
    answer = {name: value for name, value in settings.items() if name in names}
    answer["micro_batch_size"] = gcd(settings["batch_size"], settings["micro_batch_size"])
    return answer


def check_batch(batch_size: int, micro_batch_size: int, where: str) -> None:
    """Refuses a batch that is no multiple of its micro-batches.

    Raises:
        InputError: naming both.
    """
    if batch_size % micro_batch_size:
        raise InputError(
            f"{where}.batch_size: expected a multiple of train.micro_batch_size "
            f"({micro_batch_size}); found {batch_size}. Mend either there."
        )


def add_adapters(net: Any, settings: dict[str, Any]) -> Any:
    """The model as it is to be fitted: itself, or with fresh LoRA adapters on frozen weights.

    Adapters are drawn from torch's seed: set it before.
    """
    net.config.use_cache = False
    if settings["method"] == "full":
        return net
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings["lora_rank"],
        lora_alpha=settings["lora_alpha"],
        lora_dropout=settings["lora_dropout"],
        target_modules=settings["lora_modules"],
        task_type="CAUSAL_LM",
    )
    if settings["gradient_checkpointing"]:
        net.enable_input_require_grads()
    try:
        return get_peft_model(net, config)
    except ValueError:
        linear = {
            n.rsplit(".", 1)[-1] for n, m in net.named_modules() if type(m).__name__ in LINEAR
        }
        raise InputError(
            f"lora_modules (of the method in methods.yaml, or of train): the model has not all of "
            f"{settings['lora_modules']}. Name some of its "
            f"linear layers, {', '.join(sorted(linear))}; or `all-linear`."
        ) from None


def mean_loss(trainer: Trainer) -> float:
    """The mean loss of all steps, nats per token."""
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return sum(losses) / len(losses)


def fit_distributed(work: Callable[..., T], *given: Any, recipe: dict[str, Any]) -> T:
    """Calls a function, in as many processes as share the recipe's steps, with the recipe last.

    Where memory runs out it is called again, with smaller micro-batches: the same rows in the same
    steps, from the last checkpoint on.

    Raises:
        InputError: a single row is too much.
    """
    asked = recipe.get("processes", "auto")
    while True:
        processes = process_count(recipe)
        if asked not in ("auto", processes):
            report.console.print(
                f"processes: {asked} asked for, {processes} of use; see the README"
            )
        try:
            return distributed.launch(processes, work, *given, recipe)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Beyond the handler, so that what the failed run held is free by now.
        recipe = recipe | {"micro_batch_size": _next_micro_batch(recipe)}
        size = recipe["micro_batch_size"]
        report.console.print(f"out of memory: on with micro-batches of {size}")
        free_memory()


def _next_micro_batch(recipe: dict[str, Any]) -> int:
    """The largest micro-batch of at most half the rows that divides a batch."""
    rows = recipe["batch_size"]
    if recipe["micro_batch_size"] == 1:
        raise InputError(
            "out of memory in training on a row at a time. Set `train.gradient_checkpointing: "
            "true`, `train.method: lora`, or lower `model.max_tokens`."
        )
    half = recipe["micro_batch_size"] // 2
    return max(size for size in range(1, half + 1) if rows % size == 0)


def process_count(recipe: dict[str, Any]) -> int:
    """How many processes share a recipe's steps: each takes a micro-batch at a time.

    Where losses are averaged by micro-batch, one: the rows that fill up an epoch for several would
    count as one.
    """
    parts = recipe["batch_size"] // recipe["micro_batch_size"]
    asked = recipe.get("processes", 1)
    return (
        1 if recipe.get("loss_per") == "micro_batch" else distributed.usable_processes(asked, parts)
    )
