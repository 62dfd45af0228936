"""transformers' Trainer as it is set up here: rows, steps, progress, checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect import report
from dataselect.compute import distributed
from dataselect.models.chat import Encoded

if TYPE_CHECKING:
    from transformers import TrainerCallback


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


def make(
    net: Any,
    tokenizer: Any,
    rows: Sequence[Encoded],
    home: Path,
    recipe: dict[str, Any],
    callbacks: Sequence[TrainerCallback],
) -> Any:
    """A Trainer that tells only these callbacks of its steps.

    Args:
        home: a folder for checkpoints.
        recipe: see `fitting.fit`.
    """
    from transformers import PrinterCallback, ProgressCallback

    trainer = _trainer()(
        model=net,
        args=_arguments(home, recipe, len(rows)),
        train_dataset=_Labelled(rows),
        data_collator=_collator(tokenizer),
        callbacks=[*callbacks],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    return trainer


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

        def __init__(self, rows: Any, seed: int, together: int, epoch: Callable[[], int]) -> None:
            self.rows, self.together, self.epoch = len(rows), together, epoch
            self.order = SeedableRandomSampler(rows, data_seed=seed)

        def __iter__(self) -> Iterator[int]:
            # Asked for, not waited for: of a run that goes on within an epoch, accelerate wraps
            # this so deep that transformers' own `set_epoch` does not reach it.
            self.order.set_epoch(self.epoch())
            yield from self.order
            yield from range(self.rows, len(self))

        def __len__(self) -> int:
            return -(-self.rows // self.together) * self.together

    class Together(Trainer):
        def _save_rng_state(self, output_dir: str) -> None:
            super()._save_rng_state(output_dir)
            if (
                distributed.world_size() > 1
            ):  # all have written theirs before the checkpoint counts as whole
                torch.distributed.barrier()

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            if distributed.world_size() == 1:
                return super()._get_train_sampler(train_dataset)
            together = distributed.world_size() * self.args.per_device_train_batch_size
            rows = train_dataset or self.train_dataset
            seed = self.args.data_seed or 0
            return Filled(rows, seed, together, lambda: int(self.state.epoch or 0))

    return Together


def _arguments(home: Path, settings: dict[str, Any], rows: int) -> Any:
    import torch
    from transformers import TrainingArguments

    on_gpu = torch.cuda.is_available()
    bf16 = settings["dtype"] == "bfloat16" or (
        settings["dtype"] == "auto" and on_gpu and torch.cuda.is_bf16_supported()
    )
    more: dict[str, Any] = {"gradient_checkpointing": True}
    together = settings["micro_batch_size"] * distributed.world_size()
    steps = -(-rows // settings["batch_size"]) * settings["epochs"]
    arguments = TrainingArguments(
        output_dir=str(home),
        num_train_epochs=settings["epochs"],
        per_device_train_batch_size=settings["micro_batch_size"],
        gradient_accumulation_steps=settings["batch_size"] // together,
        learning_rate=settings["learning_rate"],
        lr_scheduler_type=settings["schedule"],
        # Below 1: a share of all steps, rounded up. An only step would be at rate 0.
        warmup_steps=settings["warmup"] if steps > 1 else 0,
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
        log_level_replica="error",  # as the first process is, by `model`
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


def progress() -> Any:
    """Progress on standard error, a step at a time, until it is closed."""
    from transformers import TrainerCallback

    class Bar(TrainerCallback):
        def __init__(self) -> None:
            self.shown = ExitStack()

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            shown = report.progress("train", state.max_steps)
            self.advance = self.shown.enter_context(shown)
            self.advance(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.advance(1)

        def close(self) -> None:
            self.shown.close()

    return Bar()


def last_whole_checkpoint(home: Path) -> str | None:
    """The newest checkpoint that was finished; its trainer state is what is written last."""
    for folder in home.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(folder)
    steps = sorted(home.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    return str(steps[-1]) if steps else None
