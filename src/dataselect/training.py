"""Fine-tunes the model on the selected rows, with the loss on responses only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Lt

from dataselect import fingerprint, report, scratch
from dataselect.errors import InputError
from dataselect.settings import keywords
from dataselect.tables import batched

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer, TrainerCallback

    from dataselect.chat import Chat, Encoded

Count = Annotated[int, Ge(1)]
Share = Annotated[float, Ge(0), Lt(1)]


class Trained(NamedTuple):
    """What a training run did.

    Rows and tokens used, rows dropped, optimiser steps, and the mean loss of all steps.
    """

    rows: int
    dropped: int
    tokens: int
    steps: int
    loss_nats: float


def train(
    model: dict[str, Any],
    rows: Path,
    out: Path,
    curve: Path,
    *,
    epochs: Annotated[float, Gt(0)] = 2,
    learning_rate: Annotated[float, Gt(0)] = 2e-5,
    batch_size: Count = 128,
    micro_batch_size: Count = 1,
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear",
    warmup: Share = 0.03,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
    max_grad_norm: Annotated[float, Gt(0)] = 1.0,
    loss_per: Literal["token", "micro_batch"] = "token",
    method: Literal["full", "lora"] = "full",
    lora_rank: Count = 128,
    lora_alpha: Count = 512,
    lora_dropout: Share = 0.1,
    lora_modules: list[str] | Literal["all-linear"] = "all-linear",
    dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    gradient_checkpointing: bool = False,
    save_steps: Count = 100,
    threads: Count | None = None,
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
        batch_size: rows an optimiser step, reached by accumulating micro-batches.
        warmup: the share of all steps in which the learning rate rises.
        loss_per: the mean over all response tokens of a step, or the mean of the micro-batches'
            means, as older trainers have it.
        method: `full` fine-tuning, or `lora`, whose adapter is merged into the saved model.
        dtype: bfloat16 trains fp32 weights under bf16 autocast; auto does so on a GPU that can.
        save_steps: a checkpoint every so many steps.
        threads: CPU threads; another number gives other last bits. None: all there are.

    Raises:
        InputError: no row has a response token; or a batch is no multiple of its micro-batches.

    Source: the recipe of arXiv 2503.01807 (the defaults here).
    """
    import torch
    from filelock import FileLock
    from transformers import Trainer, set_seed

    from dataselect.chat import Chat
    from dataselect.model import load_causal, load_tokenizer

    if batch_size % micro_batch_size:
        raise InputError(
            f"train.batch_size: {batch_size} is no multiple of train.micro_batch_size "
            f"({micro_batch_size}). Set one that is."
        )
    if threads:
        torch.set_num_threads(threads)
    settings = {k: v for k, v in locals().items() if k in keywords(train)}
    tokenizer = load_tokenizer(model)
    chat = Chat(tokenizer, model["chat"], model["max_tokens"])
    examples, dropped = _examples(rows, chat)
    home = scratch.root() / "train" / _key(model, rows, settings)
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home.with_suffix(".lock")):
        set_seed(seed)
        net = _prepare(load_causal(model, "float32"), settings)
        trainer = Trainer(
            model=net,
            args=_arguments(home, settings),
            train_dataset=_Labelled(examples),  # ty: ignore[invalid-argument-type]
            data_collator=_collator(tokenizer),
            callbacks=[_bar(), _curve(curve)],
        )
        if loss_per == "micro_batch":
            trainer.model_accepts_loss_kwargs = False
        _quiet(trainer)
        trainer.train(resume_from_checkpoint=_last_whole_checkpoint(home))
        _save(net, tokenizer, out, settings)
        shutil.rmtree(home)
    used = sum(len(row.ids) for row in examples)
    return Trained(len(examples), dropped, used, trainer.state.global_step, _mean_loss(trainer))


def _key(model: dict[str, Any], rows: Path, settings: dict[str, Any]) -> str:
    here = Path(__file__).parent
    code = [str(here / name) for name in ("training.py", "chat.py", "model.py")]
    return scratch.key(model, settings, fingerprint.md5s([str(rows), *code]))


def _examples(path: Path, chat: Chat) -> tuple[list[Encoded], int]:
    """Every row that has a response token, as tokens; and how many have none."""
    kept: list[Encoded] = []
    count = 0
    with report.progress("tokenise", None) as advance:
        for block in batched(_lines(path), 4_096):
            encoded = chat.encode([row["messages"] for row in block])
            # The first token is never predicted: a response must reach beyond it.
            kept += [row for row in encoded if row.response[1:].any()]
            count += len(block)
            advance(len(block))
    if not kept:
        raise InputError(
            f"{path}: none of the {count} rows has a response token within max_tokens "
            f"({chat.max_tokens}). Raise `model.max_tokens` in params.yaml."
        )
    return kept, count - len(kept)


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


def _mean_loss(trainer: Trainer) -> float:
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return sum(losses) / len(losses)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _prepare(net: PreTrainedModel, settings: dict[str, Any]) -> Any:
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
    return get_peft_model(net, config)


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


def _last_whole_checkpoint(home: Path) -> str | None:
    """The newest checkpoint that was finished; its trainer state is what is written last."""
    for folder in home.glob("checkpoint-*"):
        try:
            json.loads((folder / "trainer_state.json").read_text())
        except (OSError, ValueError):
            shutil.rmtree(folder)
    steps = sorted(home.glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    return str(steps[-1]) if steps else None


def _save(net: Any, tokenizer: Any, out: Path, settings: dict[str, Any]) -> None:
    if settings["method"] == "lora":
        net = net.merge_and_unload()
    net.config.use_cache = True
    net.save_pretrained(out)
    tokenizer.save_pretrained(out)
