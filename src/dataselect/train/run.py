"""The train stage: fine-tunes the model on the selected rows, with the loss on responses only."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dataselect.compute import distributed
from dataselect.data import files, fingerprint
from dataselect.models.settings import ModelSettings
from dataselect.models.sharded import save_whole
from dataselect.train import same_training
from dataselect.train.adapters import save_adapter, trainable_parameters
from dataselect.train.divergence import skipped_steps
from dataselect.train.fit import Recipe, check_batch, fit, fit_distributed, mean_loss
from dataselect.train.loss_curve import loss_curve
from dataselect.train.memory_limits import TRAIN_SETTINGS, check_memory
from dataselect.train.nets import check_types, computes_in_bfloat16, load_trainable, merged
from dataselect.train.rows import encode_file

if TYPE_CHECKING:
    from dataselect.models.chat import Chat
    from dataselect.train.token_files import TokenRows


@dataclass(frozen=True)
class TrainSection:
    """The plan's `train`.

    Attributes:
        model: the model that is trained; the recipe says which type its weights are read in.
        recipe: how it is trained.
        code: hash of the code that decides the result.
    """

    model: ModelSettings
    recipe: Recipe
    code: str


class Trained(NamedTuple):
    """What a training run did.

    Attributes:
        rows: rows that were trained on.
        dropped: rows without a response token within `max_tokens`, which were not.
        epochs: passes over the rows.
        tokens: tokens of all epochs.
        steps: optimiser steps.
        skipped_steps: of these, steps that were skipped: see `Recipe.skip_steps`.
        loss_nats: mean loss of the other steps, nats per token.
        parameters: of the model, with its adapters.
        trainable_parameters: of these, those that training changed: with LoRA the adapters'.
        flops: computed from the tokens.
        other_seconds: that another run trained for, where this one took its model; without those
            that this one waited.
    """

    rows: int
    dropped: int
    epochs: float
    tokens: int
    steps: int
    skipped_steps: int
    loss_nats: float
    parameters: int
    trainable_parameters: int
    flops: float
    other_seconds: float = 0.0


def train(section: TrainSection, rows: Path, out: Path, curve: Path) -> Trained:
    """Trains on a JSON-lines file of conversations and saves the model, ready to load, to `out`.

    A run that was killed continues from its last checkpoint, which lies in the scratch folder, and
    ends with the same weights as one that was not. A model that is finished lies there too, until
    the next training begins: a run of the same training takes it, and waits for one that is at
    work on it. LoRA's adapters are merged into the model, and kept in its folder `adapter`.

    Args:
        rows: the selected rows, with `messages`.
        out: a folder for the model, its tokenizer and its chat template.
        curve: a folder for the loss curve, a point per step (dvclive).

    Raises:
        InputError: no row has a response token; training diverged; a batch is no multiple of its
            micro-batches; or the memory at hand is too small.
    """
    from dataselect.compute.threads import use_threads

    recipe = section.recipe
    check_batch(recipe.batch_size, recipe.micro_batch_size, "train")
    check_types(recipe, "train")
    use_threads(recipe.threads)
    # What `auto` is here: machines that compute in other types may share a scratch folder.
    key = files.content_key(
        asdict(section), fingerprint.file_hashes([str(rows)]), computes_in_bfloat16(recipe)
    )
    home = files.scratch_folder() / "train" / key
    begin = time.perf_counter()
    with same_training.turn(home), _nothing_half_saved(out):
        start = time.perf_counter()
        same_training.remove_finished(home)
        figures = same_training.restore(home, out, curve)
        if figures is not None:
            figures["other_seconds"] -= start - begin  # this run has them of its own
        else:
            figures = _train(section, rows, home, out, curve)._asdict()
            seconds = time.perf_counter() - start
            same_training.keep(home, out, curve, {**figures, "other_seconds": seconds})
    return Trained(**figures)


@contextmanager
def _nothing_half_saved(out: Path) -> Generator[None]:
    """Removes a part of a model, which may be large, where saving it fails: on a full disk."""
    try:
        yield
    except BaseException:
        shutil.rmtree(files.partial_folder(out), ignore_errors=True)
        raise


def _train(section: TrainSection, rows: Path, home: Path, out: Path, curve: Path) -> Trained:
    """Trains in a scratch folder, and saves the model."""
    from dataselect.models.chat import load_chat

    with encode_file(rows, load_chat(section.model), home / "tokens") as examples:
        longest = int(examples.lengths.max())
        check_memory(section.model, section.recipe, longest, "train", TRAIN_SETTINGS)
        return fit_distributed(
            _train_in_process, section.model, examples, home, out, curve, recipe=section.recipe
        )


def _train_in_process(
    model: ModelSettings,
    rows: TokenRows,
    home: Path,
    out: Path,
    curve: Path,
    recipe: Recipe,
) -> Trained:
    """The part of one process; often the only one."""
    from dataselect.models.chat import load_chat
    from dataselect.models.flops import parameter_size, training_flops

    chat = load_chat(model)
    net = load_trainable(model, recipe)
    with loss_curve(curve) as callback:
        trainer = fit(net, chat.tokenizer, rows, home, recipe, [callback])
    epochs = recipe.passes(len(rows))
    tokens = int(rows.lengths.sum() * epochs)
    trained = Trained(
        rows=len(rows),
        dropped=rows.dropped,
        epochs=epochs,
        tokens=tokens,
        steps=trainer.state.global_step,
        skipped_steps=skipped_steps(trainer.state),
        loss_nats=mean_loss(trainer),
        parameters=sum(parameter_size(parameter) for parameter in net.parameters()),
        trainable_parameters=trainable_parameters(net),
        flops=training_flops(net, tokens),
    )
    _save(net, chat, model, out, recipe)  # merges adapters: after parameters were counted
    return trained


def _save(net: Any, chat: Chat, model: ModelSettings, out: Path, recipe: Recipe) -> None:
    """Saves the model and its tokenizer, with the template of the conversations it learned from.

    Called in every process; the main one writes, whole or not at all.
    """
    partial, main = files.partial_folder(out), distributed.is_main_process()
    if main:
        shutil.rmtree(partial, ignore_errors=True)  # of a killed run
        partial.mkdir(parents=True)
    if recipe.method == "lora":
        if not main:
            return
        save_adapter(net, partial / "adapter", model)
        net = merged(net, model, recipe, partial / "adapter")
    net.config.use_cache = True
    save_whole(net, partial)
    if not main:
        return
    chat.tokenizer.chat_template = chat.jinja_template
    chat.tokenizer.save_pretrained(partial)
    files.sync_folder(partial)
    files.rename_folder(partial, out)
