"""Fine-tunes the model on the selected rows, with the loss on responses only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from annotated_types import Ge, Gt

from dataselect.compute import distributed
from dataselect.data import files, fingerprint
from dataselect.settings import Fraction, PositiveInt, settings_of
from dataselect.train.examples import read_examples
from dataselect.train.fit import add_adapters, check_batch, fit, fit_distributed, mean_loss

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from dataselect.models.chat import Encoded


class Trained(NamedTuple):
    """What a training run did.

    Rows used and dropped, tokens over all epochs, optimiser steps, the mean loss of all steps, the
    model's parameters, and FLOPs from the tokens.
    """

    rows: int
    dropped: int
    tokens: int
    steps: int
    loss_nats: float
    parameters: int
    flops: float


def train(
    model: dict[str, Any],
    rows: Path,
    out: Path,
    curve: Path,
    *,
    epochs: Annotated[float, Gt(0)] = 2,
    learning_rate: Annotated[float, Gt(0)] = 2e-5,
    batch_size: PositiveInt = 128,
    micro_batch_size: PositiveInt = 1,
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear",
    warmup: Fraction = 0.03,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
    max_grad_norm: Annotated[float, Gt(0)] = 1.0,
    loss_per: Literal["token", "micro_batch"] = "token",
    method: Literal["full", "lora"] = "full",
    lora_rank: PositiveInt = 128,
    lora_alpha: PositiveInt = 512,
    lora_dropout: Fraction = 0.1,
    lora_modules: list[str] | Literal["all-linear"] = "all-linear",
    dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    gradient_checkpointing: bool = False,
    save_steps: PositiveInt = 100,
    threads: PositiveInt | None = None,
    processes: distributed.Processes = "auto",
    seed: int = 0,
) -> Trained:
    """Trains on a JSON-lines file of conversations and saves the model, ready to load, to `out`.

    The optimiser is AdamW. A run that was killed goes on from its last checkpoint, which lies in
    the scratch folder, and ends with the same weights as one that was not. On one machine and the
    same number of threads, runs repeat to the bit.

    Args:
        model: the plan's model section.
        rows: the selected rows; those without a response token within `max_tokens` are dropped.
        curve: a folder for the loss curve, a point a step (dvclive).
        batch_size: rows an optimiser step, reached by accumulating micro-batches; these shrink
            where memory runs out.
        warmup: the share of all steps in which the learning rate rises.
        loss_per: the mean over all response tokens of a step, or the mean of the micro-batches'
            means, as older trainers have it.
        method: `full` fine-tuning, or `lora`, whose adapter is merged into the saved model.
        dtype: bfloat16 trains fp32 weights under bf16 autocast; auto does so on a GPU that can.
        save_steps: a checkpoint every so many steps.
        threads: CPU threads; another number gives other last bits. None: all there are.
        processes: they share every step by data (accelerate); `auto`: one a GPU. As many as divide
            a batch's micro-batches; one where `loss_per` is `micro_batch`. Another number gives
            other last bits, and with dropout another run.

    Raises:
        InputError: no row has a response token; or a batch is no multiple of its micro-batches.

    Source: the recipe of arXiv 2503.01807 (the defaults here).
    """
    from filelock import FileLock

    from dataselect.compute.threads import use_threads
    from dataselect.models.chat import Chat
    from dataselect.models.load import load_tokenizer

    check_batch(batch_size, micro_batch_size, "train")
    use_threads(threads)
    settings = {k: v for k, v in locals().items() if k in settings_of(train)}
    chat = Chat(load_tokenizer(model), model["chat"], model["max_tokens"])
    examples, dropped = read_examples(rows, chat)
    home = files.scratch_folder() / "train" / _key(model, rows, settings)
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_suffix(".lock")):
        done = fit_distributed(_train, model, examples, home, out, curve, recipe=settings)
        shutil.rmtree(home)
    return done._replace(dropped=dropped)


def _train(
    model: dict[str, Any],
    rows: list[Encoded],
    home: Path,
    out: Path,
    curve: Path,
    settings: dict[str, Any],
) -> Trained:
    """The part of one process, most often the only one."""
    from transformers import set_seed

    from dataselect.models.flops import training_flops
    from dataselect.models.load import load_causal, load_tokenizer

    tokenizer = load_tokenizer(model)
    set_seed(settings["seed"])  # LoRA's first weights
    net = add_adapters(load_causal(model, "float32"), settings)
    trainer = fit(net, tokenizer, rows, home, settings, [_curve(curve)])
    tokens = int(sum(len(row.ids) for row in rows) * settings["epochs"])
    parameters, flops = sum(p.numel() for p in net.parameters()), training_flops(net, tokens)
    if distributed.is_main_process():
        _save(net, tokenizer, out, settings)
    steps, loss = trainer.state.global_step, mean_loss(trainer)
    return Trained(len(rows), 0, tokens, steps, loss, parameters, flops)


def _key(model: dict[str, Any], rows: Path, settings: dict[str, Any]) -> str:
    code = fingerprint.code_hash(Path(__file__))
    return files.content_key(model, settings, code, fingerprint.file_hashes([str(rows)]))


def _curve(folder: Path) -> TrainerCallback:
    """The loss of every step, live. A resumed run first writes again what was before the kill."""
    from dvclive import Live
    from transformers import TrainerCallback

    class Curve(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.live = Live(str(folder), dvcyaml=None, report=None, save_dvc_exp=False)
            for entry in state.log_history:
                self._write(entry)

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self._write(state.log_history[-1])

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.live.end()

        def _write(self, entry: dict[str, Any]) -> None:
            if "loss" in entry:
                self.live.step = entry["step"]
                self.live.log_metric("loss", entry["loss"], timestamp=False)
                self.live.sync()

    return Curve()


def _save(net: Any, tokenizer: Any, out: Path, settings: dict[str, Any]) -> None:
    if settings["method"] == "lora":
        net = net.merge_and_unload()
    net.config.use_cache = True
    net.save_pretrained(out)
    tokenizer.save_pretrained(out)
