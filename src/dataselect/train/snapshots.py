"""Fits a model and keeps checkpoints of it: evenly spaced, in training order."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.compute import distributed
from dataselect.data import checksums, files
from dataselect.data.checkpoints import Checkpoint, Fitted
from dataselect.models.sharded import save_whole
from dataselect.train.divergence import check_weights
from dataselect.train.fit import Recipe, fit, fit_distributed
from dataselect.train.memory_limits import REFERENCE_SETTINGS, check_memory
from dataselect.train.nets import load_trainable
from dataselect.train.rows import encode_rows

if TYPE_CHECKING:
    import numpy as np
    from transformers import Trainer, TrainerCallback

    from dataselect.models.settings import ModelSettings
    from dataselect.train.token_files import TokenRows

#: (model, tokenizer, optimiser, folder) → None: writes a checkpoint. A module's function: it
#: travels to the processes of several GPUs, and is called in all of them; the main one writes.
Save = Callable[[Any, Any, Any, Path], None]


def fit_with_snapshots(
    model: ModelSettings,
    pool: Path,
    rows: np.ndarray,
    home: Path,
    recipe: Recipe,
    count: int,
    save: Save,
) -> Fitted:
    """Fits a model on rows of a pool (see `fit`) and keeps `count` checkpoints in `home`.

    Args:
        pool: the pool's table.
        rows: row numbers (int64); their order and the seed give the order of training.
        home: a folder that survives a kill.
        count: how many checkpoints; fewer where there are fewer steps.

    Raises:
        InputError: no row has a response token; the memory at hand is too small; or training
            diverged.
    """
    from dataselect.models.chat import load_chat

    with encode_rows(pool, load_chat(model), rows, home / "tokens") as encoded:
        longest, where = int(encoded.lengths.max()), "the reference in methods.yaml"
        check_memory(model, recipe, longest, where, REFERENCE_SETTINGS)
        _remove_changed(home)
        return fit_distributed(_fit_in_process, model, encoded, home, count, save, recipe=recipe)


def _remove_changed(home: Path) -> None:
    """Removes checkpoints that are not as they were written; then the fit starts anew.

    The last step to resume from goes first: a fit that resumed behind a checkpoint that is gone
    would not write it.
    """
    kept = sorted((home / "checkpoints").glob("[0-9]*"))
    if all(checksums.is_sealed(folder) for folder in kept):
        return
    for folder in (*home.glob("checkpoint-*"), home / "checkpoints"):
        shutil.rmtree(folder)


def _fit_in_process(
    model: ModelSettings,
    encoded: TokenRows,
    home: Path,
    count: int,
    save: Save,
    recipe: Recipe,
) -> Fitted:
    """The part of one process; often the only one."""
    from dataselect.models.flops import training_flops
    from dataselect.models.load import load_tokenizer

    tokenizer = load_tokenizer(model)
    net = load_trainable(model, recipe)
    kept = snapshots(home, count, tokenizer, save)
    trainer = fit(net, tokenizer, encoded, home, recipe, everywhere=[kept])
    tokens = int(recipe.passes(len(encoded)) * encoded.lengths.sum())
    return Fitted(
        checkpoints=collect_checkpoints(home, count, trainer),
        rows=len(encoded),
        tokens=tokens,
        steps=trainer.state.global_step,
        flops=training_flops(net, tokens),
    )


def save_model(net: Any, tokenizer: Any, optimizer: Any, folder: Path) -> None:
    """Saves a whole model, ready to load; a `Save`."""
    save_whole(net, folder)
    if distributed.is_main_process():
        tokenizer.save_pretrained(folder)


def snapshots(home: Path, count: int, tokenizer: Any, save: Save) -> TrainerCallback:
    """A callback that saves `count` checkpoints, the last of them after the last step.

    They lie in `home/checkpoints/00` and so on; each is written whole or not at all. A run that
    resumes before one of them writes it again, the same. It is called in every process.
    """
    from transformers import TrainerCallback

    class Snapshots(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            ends = snapshot_steps(state.max_steps, count)
            if state.global_step not in ends:
                return
            check_weights(kwargs["model"], state.global_step)
            folder = checkpoint_folder(home, ends.index(state.global_step))
            partial = folder.with_name(f".{folder.name}")
            main = distributed.is_main_process()
            if main:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
            save(kwargs["model"], tokenizer, kwargs["optimizer"], partial)
            if main:
                checksums.seal(partial, folder)
                files.rename_folder(partial, folder)

    return Snapshots()


def snapshot_steps(total: int, count: int) -> list[int]:
    """After which of `total` steps the checkpoints are; fewer than `count` where steps are few."""
    return sorted({max(1, round(total * (i + 1) / count)) for i in range(count)})


def checkpoint_folder(home: Path, number: int) -> Path:
    """The folder of a checkpoint, by its number in training order."""
    return home / "checkpoints" / f"{number:02d}"


def collect_checkpoints(home: Path, count: int, trainer: Trainer) -> list[Checkpoint]:
    """The checkpoints of a finished run, each with the mean learning rate of its steps."""
    ends = snapshot_steps(trainer.state.max_steps, count)
    rates = {
        entry["step"]: entry["learning_rate"]
        for entry in trainer.state.log_history
        if "learning_rate" in entry
    }
    checkpoints = []
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        own_rates = [rates[step] for step in range(start + 1, end + 1)]
        mean_rate = sum(own_rates) / len(own_rates)
        checkpoints.append(Checkpoint(checkpoint_folder(home, number), mean_rate))
    return checkpoints
