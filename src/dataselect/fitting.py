"""Fits a model on conversations with transformers' Trainer: what training and references share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect import report
from dataselect.chat import Encoded
from dataselect.errors import InputError

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

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

    The optimiser is AdamW; the order of the rows is drawn anew each epoch from the seed.

    Args:
        net: the model, in fp32, as `prepare` returns it.
        home: a folder for checkpoints; a run that was killed ends with the same weights.
        recipe: epochs, learning_rate, batch_size, micro_batch_size, seed, and what changes of
            `DEFAULTS`.
        callbacks: what else is to be told of the steps.
    """
    from transformers import Trainer, set_seed

    recipe = DEFAULTS | recipe
    set_seed(recipe["seed"])
    trainer = Trainer(
        model=net,
        args=_arguments(home, recipe),
        train_dataset=_Labelled(rows),  # ty: ignore[invalid-argument-type]
        data_collator=_collator(tokenizer),
        callbacks=[_bar(), *callbacks],
    )
    if recipe["loss_per"] == "micro_batch":
        trainer.model_accepts_loss_kwargs = False
    _quiet(trainer)
    trainer.train(resume_from_checkpoint=_last_whole_checkpoint(home))
    return trainer


def recipe(settings: dict[str, Any]) -> dict[str, Any]:
    """What `fit` reads, of a reference's settings.

    The micro-batch is train's, which need not divide the reference's batch: the most that do.
    """
    names = {"seed", "epochs", "learning_rate", "batch_size", *DEFAULTS}
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


class _Labelled:
    """Rows as the trainer takes them: `labels` are the ids, −100 outside responses."""

    def __init__(self, rows: list[Encoded]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        row = self.rows[index]
        labels = np.where(row.response, row.ids, -100)
        return {"input_ids": row.ids.tolist(), "labels": labels.tolist()}


def _arguments(home: Path, settings: dict[str, Any]) -> Any:
    import torch
    from transformers import TrainingArguments

    on_gpu = torch.cuda.is_available()
    bf16 = settings["dtype"] == "bfloat16" or (
        settings["dtype"] == "auto" and on_gpu and torch.cuda.is_bf16_supported()
    )
    more: dict[str, Any] = {"gradient_checkpointing": True}
    arguments = TrainingArguments(
        output_dir=str(home),
        num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["micro_batch_size"],
        gradient_accumulation_steps=settings["batch_size"] // settings["micro_batch_size"],
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


def _bar() -> TrainerCallback:
    """Progress on standard error, a step at a time."""
    from transformers import TrainerCallback

    class Bar(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.context = report.progress("train", state.max_steps)
            self.advance = self.context.__enter__()
            self.advance(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.advance(1)

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.context.__exit__(None, None, None)

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
