"""transformers' Trainer, set up for `fit`: rows, steps, progress, checkpoints."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect import report
from dataselect.compute import distributed
from dataselect.data import checksums
from dataselect.numerics.draws import derived_seed
from dataselect.train import divergence
from dataselect.train.nets import computes_in_bfloat16
from dataselect.train.optimizers import optimizer_class
from dataselect.train.order import FilledOrder, Order, order_by_length, random_order
from dataselect.train.packing import packing_collator
from dataselect.train.sharding import full_value, sharded_trainer
from dataselect.train.token_files import row_lengths

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from dataselect.models.chat import Encoded
    from dataselect.train.fit import Recipe


class _LabelledRows:
    """Rows as Trainer reads them: `labels` are the ids, −100 outside responses.

    An index beyond the last row gives a row without labels: it fills up a micro-batch, and adds
    nothing to the loss.
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


def make_trainer(
    net: Any,
    tokenizer: Any,
    rows: Sequence[Encoded],
    home: Path,
    recipe: Recipe,
    callbacks: Sequence[TrainerCallback],
) -> Any:
    """A Trainer with these callbacks and none that print.

    Args:
        home: a folder for checkpoints to resume from.
    """
    from transformers import PrinterCallback, ProgressCallback

    trainer_class = _trainer_class(home)
    if recipe.sharding == "full":
        trainer_class = sharded_trainer(trainer_class)
    trainer = trainer_class(
        model=net,
        args=_arguments(home, recipe, len(rows)),
        train_dataset=_LabelledRows(rows),
        data_collator=packing_collator() if recipe.packed else _collator(tokenizer),
        callbacks=[*callbacks],
        optimizer_cls_and_kwargs=optimizer_class(recipe),
    )
    trainer.skip_steps = recipe.skip_steps
    if recipe.group_by_length:
        seed = derived_seed(recipe.seed, "order by length")
        trainer.length_order = order_by_length(row_lengths(rows), recipe.batch_size, seed)
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    return trainer


def _trainer_class(home: Path) -> Any:
    """transformers' Trainer: ends where it diverges, shares epochs among processes."""
    import torch
    from transformers import Trainer

    class CheckedTrainer(Trainer):
        skip_steps = 0
        in_training: Any = None
        length_order: Order | None = None

        def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
            norm = full_value(super()._get_grad_norm(model, grad_norm))
            return divergence.check_step(self, model, norm, self.skip_steps)

        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
            super().log(divergence.step_log(logs), *args, **kwargs)

        def training_step(self, model: Any, *args: Any, **kwargs: Any) -> Any:
            if self.in_training is not model or not model.training:
                self.in_training = model.train()  # a wrapper is; what it wraps may not be
            with _staying_in_training(model):
                return super().training_step(model, *args, **kwargs)

        def floating_point_ops(self, inputs: Any) -> int:
            return 0  # else it walks through all parameters, for every micro-batch

        def _save_checkpoint(self, model: Any, *args: Any, **kwargs: Any) -> None:
            divergence.check_weights(model, self.state.global_step)
            super()._save_checkpoint(model, *args, **kwargs)
            if distributed.is_main_process():
                _keep_alone(home / f"checkpoint-{self.state.global_step}")

        def _save_rng_state(self, output_dir: str) -> None:
            super()._save_rng_state(output_dir)
            # All have written theirs before the checkpoint counts as complete.
            if distributed.world_size() > 1:
                torch.distributed.barrier()

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            processes = distributed.world_size()
            if processes == 1 and self.length_order is None:
                return super()._get_train_sampler(train_dataset)
            rows: Any = train_dataset or self.train_dataset
            order = self.length_order or random_order(rows, self.args.data_seed or 0)
            # A process on its own fills nothing up: its last micro-batch may be smaller.
            together = processes * self.args.per_device_train_batch_size if processes > 1 else 1
            return FilledOrder(len(rows), order, together, lambda: int(self.state.epoch or 0))

    return CheckedTrainer


@contextmanager
def _staying_in_training(model: Any) -> Generator[None]:
    """Lets `model.train()` do nothing: Trainer calls it for every micro-batch, and with adapters,
    walking through all modules takes a tenth of the time of a small model's row.
    """
    model.train = lambda mode=True: model
    try:
        yield
    finally:
        del model.train


def _arguments(home: Path, recipe: Recipe, row_count: int) -> Any:
    import torch
    from transformers import TrainingArguments

    on_gpu = torch.cuda.is_available()
    rows_together = recipe.micro_batch_size * distributed.world_size()
    steps = -(-row_count // recipe.batch_size) * recipe.passes(row_count)
    options: dict[str, Any] = {}
    if recipe.gradient_checkpointing:  # a deprecated name, of which even False warns
        options["gradient_checkpointing"] = True
    if recipe.sharding == "full":
        # What else is resumed from, ShardedTrainer saves with the model. Gradients are shared after
        # every micro-batch: until then each process would hold all of them.
        each = {"gradient_accumulation_kwargs": {"sync_each_batch": True}}
        options |= {"save_only_model": True, "accelerator_config": each}
    arguments = TrainingArguments(
        output_dir=str(home),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.steps or -1,
        per_device_train_batch_size=recipe.micro_batch_size,
        gradient_accumulation_steps=recipe.batch_size // rows_together,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        # Below 1 it is a fraction of all steps, rounded up; a single step would be at rate 0.
        warmup_steps=recipe.warmup if steps > 1 else 0,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        **options,
        bf16=computes_in_bfloat16(recipe),
        optim="adamw_8bit" if recipe.optimizer == "adamw_8bit" else "adamw_torch_fused",
        use_cpu=not on_gpu,
        seed=derived_seed(recipe.seed, "dropout"),
        data_seed=derived_seed(recipe.seed, "order of training"),
        save_strategy="steps",
        save_steps=recipe.save_steps,
        logging_steps=1,
        logging_nan_inf_filter=False,  # else a loss that is NaN is logged as the mean of others
        report_to=[],
        disable_tqdm=True,
        log_level_replica="error",  # as models.load sets it in the main process
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,
    )
    # Several GPUs in one process would each take a micro-batch, and a step more rows than
    # `batch_size`.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def _collator(tokenizer: Any) -> Any:
    from transformers import DataCollatorForSeq2Seq

    tokenizer = copy.deepcopy(tokenizer)  # the model's own is saved as it is
    tokenizer.padding_side = "right"  # else learned positions of a row would depend on its batch
    if tokenizer.pad_token is None:  # padding carries no loss and is not attended to
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100)


def progress_bar() -> Any:
    """A callback that shows progress on standard error, step by step, until `close` is called."""
    from transformers import TrainerCallback

    class ProgressBar(TrainerCallback):
        def __init__(self) -> None:
            self.open_bar = ExitStack()

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            bar = report.progress("train", state.max_steps)
            self.progress = self.open_bar.enter_context(bar)
            self.progress(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.progress(1)

        def close(self) -> None:
            self.open_bar.close()

    return ProgressBar()


def last_complete_checkpoint(home: Path) -> str | None:
    """The newest checkpoint that is as it was written; removes newer ones, and what diverged."""
    for folder in sorted(home.glob("checkpoint-*"), key=lambda p: -int(p.name.split("-")[1])):
        if not distributed.is_main_process():  # which has looked at it before
            return str(folder)
        if checksums.is_sealed(folder) and divergence.has_finite_weights(folder):
            return str(folder)
        shutil.rmtree(folder)
    return None


def _keep_alone(folder: Path) -> None:
    """Finishes a checkpoint; once it is on the disk, older ones go."""
    checksums.seal(folder, folder)
    for other in folder.parent.glob("checkpoint-*"):
        if other != folder:
            shutil.rmtree(other)
