"""Keeps checkpoints of a model while it is fitted: evenly spaced, in training order."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.data.checkpoints import Checkpoint, Fitted
from dataselect.train.examples import encode_rows
from dataselect.train.fit import add_adapters, fit, fit_distributed

if TYPE_CHECKING:
    import numpy as np
    from transformers import Trainer, TrainerCallback

    from dataselect.models.chat import Encoded

#: Writes a model and its tokenizer (and, if it likes, its optimiser's state) into a folder. A
#: module's function: it travels to the processes of several GPUs.
Save = Callable[[Any, Any, Any, Path], None]


def fit_with_snapshots(
    model: dict[str, Any],
    pool: Path,
    rows: np.ndarray,
    home: Path,
    recipe: dict[str, Any],
    count: int,
    save: Save,
    adapters: dict[str, Any] | None = None,
) -> Fitted:
    """Fits a model (see `fitting.fit`) on rows of a pool; keeps `count` checkpoints in `home`.

    Args:
        rows: their numbers (int64), in the order of training.
        adapters: what `fitting.prepare` reads of LoRA; without, all weights are fitted.
    """
    from dataselect.models.chat import Chat
    from dataselect.models.load import load_tokenizer

    chat = Chat(load_tokenizer(model), model["chat"], model["max_tokens"])
    encoded = encode_rows(pool, chat, rows)
    return fit_distributed(_fit, model, encoded, home, count, save, adapters, recipe=recipe)


def _fit(
    model: dict[str, Any],
    encoded: list[Encoded],
    home: Path,
    count: int,
    save: Save,
    adapters: dict[str, Any] | None,
    recipe: dict[str, Any],
) -> Fitted:
    """The part of one process, most often the only one."""
    from transformers import set_seed

    from dataselect.models.flops import training_flops
    from dataselect.models.load import load_causal, load_tokenizer

    tokenizer = load_tokenizer(model)
    set_seed(recipe["seed"])  # the adapters' first weights
    net = add_adapters(load_causal(model, "float32"), adapters or {"method": "full"})
    trainer = fit(net, tokenizer, encoded, home, recipe, [snapshots(home, count, tokenizer, save)])
    tokens = recipe["epochs"] * sum(len(row.ids) for row in encoded)
    steps = trainer.state.global_step
    found = collect_checkpoints(home, count, trainer)
    return Fitted(found, len(encoded), tokens, steps, training_flops(net, tokens))


def save_model(net: Any, tokenizer: Any, optimizer: Any, folder: Path) -> None:
    """Saves a whole model, ready to load."""
    net.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def snapshots(home: Path, count: int, tokenizer: Any, save: Save) -> TrainerCallback:
    """A callback that saves `count` checkpoints, the last of them after the last step.

    They lie in `home/checkpoints/00` and so on; each is written whole or not at all. A run that
    is resumed before one of them writes it again, the same.
    """
    from transformers import TrainerCallback

    class Snapshots(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            ends = snapshot_steps(state.max_steps, count)
            if state.global_step not in ends:
                return
            folder = checkpoint_folder(home, ends.index(state.global_step))
            fresh = folder.with_name(f".{folder.name}")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            save(kwargs["model"], tokenizer, kwargs["optimizer"], fresh)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.rename(folder)

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
    answer = []
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        of = [rates[step] for step in range(start + 1, end + 1)]
        answer.append(Checkpoint(checkpoint_folder(home, number), sum(of) / len(of)))
    return answer
