"""Fits a model on conversations with transformers' Trainer: what training and references share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dataselect import ranks, report
from dataselect.batches import let_go, ran_out
from dataselect.chat import Encoded
from dataselect.errors import InputError

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

T = TypeVar("T")

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
    bar = _bar()
    trainer = _trainer()(
        model=net,
        args=_arguments(home, recipe),
        train_dataset=_Labelled(rows),
        data_collator=_collator(tokenizer),
        callbacks=[bar, *callbacks] if ranks.first() else [],
    )
    if recipe["loss_per"] == "micro_batch":
        trainer.model_accepts_loss_kwargs = False
    elif ranks.world() > 1 and not trainer.model_accepts_loss_kwargs:
        raise InputError(
            "train.processes: this model's own code averages losses by micro-batch, and so cannot "
            "share a step. Set `train.processes: 1`."
        )
    _quiet(trainer)
    with trainer.args.main_process_first(local=False):
        last = _last_whole_checkpoint(home)
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


def prepare(net: Any, settings: dict[str, Any]) -> Any:
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


def shared_out(work: Callable[..., T], *given: Any, recipe: dict[str, Any]) -> T:
    """Calls a function, in as many processes as share the recipe's steps, with the recipe last.

    Where memory runs out it is called again, with smaller micro-batches: the same rows in the same
    steps, from the last checkpoint on.

    Raises:
        InputError: a single row is too much.
    """
    while True:
        try:
            return ranks.run(sharing(recipe), work, *given, recipe)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
        # Beyond the handler, so that what the failed run held is free by now.
        recipe = recipe | {"micro_batch_size": _smaller(recipe)}
        size = recipe["micro_batch_size"]
        report.console.print(f"out of memory: on with micro-batches of {size}")
        let_go()


def _smaller(recipe: dict[str, Any]) -> int:
    """The largest micro-batch of at most half the rows that divides a batch."""
    rows = recipe["batch_size"]
    if recipe["micro_batch_size"] == 1:
        raise InputError(
            "out of memory in training on a row at a time. Set `train.gradient_checkpointing: "
            "true`, `train.method: lora`, or lower `model.max_tokens`."
        )
    half = recipe["micro_batch_size"] // 2
    return max(size for size in range(1, half + 1) if rows % size == 0)


def sharing(recipe: dict[str, Any]) -> int:
    """How many processes share a recipe's steps: each takes a micro-batch at a time.

    Where losses are averaged by micro-batch, one: the rows that fill up an epoch for several would
    count as one.
    """
    parts = recipe["batch_size"] // recipe["micro_batch_size"]
    asked = recipe.get("processes", 1)
    return 1 if recipe.get("loss_per") == "micro_batch" else ranks.count(asked, parts)


class _Labelled:
    """Rows as the trainer takes them: `labels` are the ids, −100 outside responses.

    Beyond the last, a row of which there is nothing to learn.
    """

    def __init__(self, rows: Sequence[Encoded]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        if index >= len(self.rows):
            return {"input_ids": self.rows[0].ids[:1].tolist(), "labels": [-100]}
        row = self.rows[index]
        labels = np.where(row.response, row.ids, -100)
        return {"input_ids": row.ids.tolist(), "labels": labels.tolist()}


def _trainer() -> Any:
    """transformers' Trainer, whose epochs are as long for each of several processes."""
    import torch
    from accelerate.data_loader import SeedableRandomSampler
    from torch.utils.data import Sampler
    from transformers import Trainer

    class Filled(Sampler):
        """One process's order of the rows, and empty ones up to a whole micro-batch for each.

        Left to itself, accelerate fills up with rows from the front, which count twice.
        """

        def __init__(self, rows: Any, seed: int, together: int) -> None:
            self.rows, self.together = len(rows), together
            self.order = SeedableRandomSampler(rows, data_seed=seed)

        def __iter__(self) -> Iterator[int]:
            yield from self.order
            yield from range(self.rows, len(self))

        def __len__(self) -> int:
            return -(-self.rows // self.together) * self.together

        def set_epoch(self, epoch: int) -> None:
            self.order.set_epoch(epoch)

    class Together(Trainer):
        def _save_rng_state(self, output_dir: str) -> None:
            super()._save_rng_state(output_dir)
            if ranks.world() > 1:  # all have written theirs before the checkpoint counts as whole
                torch.distributed.barrier()

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            if ranks.world() == 1:
                return super()._get_train_sampler(train_dataset)
            together = ranks.world() * self.args.per_device_train_batch_size
            rows = train_dataset or self.train_dataset
            return Filled(rows, self.args.data_seed or 0, together)

    return Together


def _arguments(home: Path, settings: dict[str, Any]) -> Any:
    import torch
    from transformers import TrainingArguments

    on_gpu = torch.cuda.is_available()
    bf16 = settings["dtype"] == "bfloat16" or (
        settings["dtype"] == "auto" and on_gpu and torch.cuda.is_bf16_supported()
    )
    more: dict[str, Any] = {"gradient_checkpointing": True}
    together = settings["micro_batch_size"] * ranks.world()
    arguments = TrainingArguments(
        output_dir=str(home),
        num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["micro_batch_size"],
        gradient_accumulation_steps=settings["batch_size"] // together,
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=settings["schedule"],
        warmup_steps=settings["warmup"],  # below 1: a share of all steps
        weight_decay=settings["weight_decay"],
        max_grad_norm=settings["max_grad_norm"],
        **(more if settings["gradient_checkpointing"] else {}),
        bf16=bf16,
        use_cpu=not on_gpu,
        seed=settings["seed"],
        data_seed=settings["seed"],
        save_strategy="steps",
        save_steps=settings["save_steps"],
        save_total_limit=1,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,
    )
    # Several GPUs in one process would each take a micro-batch, and a step more rows than asked.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _collator(tokenizer: Any) -> Any:
    from transformers import DataCollatorForSeq2Seq

    if tokenizer.pad_token is None:  # padding carries no loss and is not attended to
        tokenizer.pad_token = tokenizer.eos_token
    return DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100)


def _quiet(trainer: Trainer) -> None:
    from transformers import PrinterCallback, ProgressCallback

    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)


def _bar() -> Any:
    """Progress on standard error, a step at a time, until it is closed."""
    from transformers import TrainerCallback

    class Bar(TrainerCallback):
        def __init__(self) -> None:
            self.shown = ExitStack()

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress = report.progress("train", state.max_steps)
            self.advance = self.shown.enter_context(progress)
            self.advance(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.advance(1)

        def close(self) -> None:
            self.shown.close()

    return Bar()


def _last_whole_checkpoint(home: Path) -> str | None:
    """The newest checkpoint that was finished; its trainer state is what is written last."""
    for folder in home.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(folder)
    steps = sorted(home.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    return str(steps[-1]) if steps else None
