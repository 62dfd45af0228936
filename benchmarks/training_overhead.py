"""Measures what a step of training costs beside the model: against a bare loop, and part by part.

    OMP_NUM_THREADS=1 python benchmarks/training_overhead.py [--small]

The bare loop has the same model, rows, order, batches, loss, optimiser, clipping and schedule, and
nothing else: no log, no loss curve, no checks, no checkpoint. Both run in one process, in turn; the
ratio of a round is that of their seconds. The runs of `train` must end with the weights of the
loop, to the bit. The first step, which sets things up, is not counted; the checkpoint is.

A step's parts: the model's (forward, backward, clipping, optimiser) and ours: the batch's tokens
and padding, finite numbers, the log and the loss curve, the checkpoint, the rest of the loop.
The demo's model and rows; real rows of ../shared (not shipped) with its 6.8 M parameters.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
import transformers
from measuring import in_new_process, save_result, temporary_folder
from shapes import MODEL, rows
from step_parts import MODELS, parts_timed, with_rest

from dataselect.models.chat import load_chat
from dataselect.models.load import load_tokenizer
from dataselect.models.settings import ModelSettings
from dataselect.numerics.draws import derived_seed
from dataselect.train.fit import Recipe, fit
from dataselect.train.loss_curve import loss_curve
from dataselect.train.nets import load_trainable
from dataselect.train.order import random_order

ROOT = Path(__file__).parent.parent
DEMO = ModelSettings(name=str(ROOT / "demo/base_model"))
REAL = replace(MODEL, max_tokens=256)
STEPS, ROUNDS = 100, 3

LORA: dict[str, Any] = {"method": "lora", "lora_rank": 16, "lora_dropout": 0.0}
#: Model, settings of `train`; rows of a step, and of a micro-batch.
CASES: dict[str, tuple[ModelSettings, dict[str, Any], int, int]] = {
    "demo, full": (DEMO, {}, 8, 8),
    "demo, lora, single rows": (DEMO, LORA, 8, 1),
    "6.8M, full": (REAL, {}, 4, 4),
    "6.8M, lora, single rows": (REAL, LORA, 4, 1),
}


class Ticks(NamedTuple):
    """Seconds of the processor and by the clock: of all steps but the first."""

    cpu: float
    wall: float


def main() -> None:
    """Every case in a process of its own."""
    small = "--small" in sys.argv
    result: dict[str, Any] = {"steps": STEPS, "rounds": ROUNDS, "threads": 1, "cases": {}}
    for name in list(CASES)[:2] if small else CASES:
        arguments = {"name": name, "steps": 4, "rounds": 1} if small else {"name": name}
        result["cases"][name] = in_new_process("training_overhead", "compare", **arguments)
    if not small:
        save_result("training_overhead", result)


def compare(name: str, steps: int = STEPS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Both loops in turn: their seconds a step, ratios by round, and the parts of a step."""
    torch.set_num_threads(1)
    model, settings, batch, micro_batch = CASES[name]
    recipe = Recipe(
        epochs=1, batch_size=batch, micro_batch_size=micro_batch, learning_rate=1e-4,
        dtype="float32", **settings,
    )  # fmt: skip
    encoded = _encoded(model, steps * batch)
    ours: list[Ticks] = []
    bare: list[Ticks] = []
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        with parts_timed() as seconds:
            ticks, weights = _train(model, encoded, recipe)
        for part, value in with_rest(seconds, ticks.cpu).items():
            parts[part].append(1e3 * value / (steps - 1))
        ours.append(ticks)
        ticks, expected = _bare_loop(model, encoded, recipe)
        bare.append(ticks)
        assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))
    return _figures(ours, bare, parts, steps) | {
        "tokens_a_step": round(sum(len(row.ids) for row in encoded) / steps)
    }


def _figures(
    ours: list[Ticks], bare: list[Ticks], parts: dict[str, list[float]], steps: int
) -> dict[str, Any]:
    milliseconds = {part: round(min(values), 2) for part, values in parts.items()}
    total = sum(milliseconds.values())
    pairs = list(zip(ours, bare, strict=True))
    return {
        "cpu_ratio": round(statistics.median(a.cpu / b.cpu for a, b in pairs), 3),
        "cpu_ratios": [round(a.cpu / b.cpu, 3) for a, b in pairs],
        "wall_ratio": round(statistics.median(a.wall / b.wall for a, b in pairs), 3),
        "cpu_ms_a_step": round(1e3 * min(ticks.cpu for ticks in ours) / (steps - 1), 1),
        "bare_cpu_ms_a_step": round(1e3 * min(ticks.cpu for ticks in bare) / (steps - 1), 1),
        "parts_cpu_ms": milliseconds,
        "models_share": round(sum(milliseconds[part] for part in MODELS) / total, 3),
    }


def _encoded(model: ModelSettings, count: int) -> list[Any]:
    """So many rows as tokens, each with a response."""
    if model is DEMO:
        pool = pl.read_parquet(ROOT / "demo/world/pool.parquet")["messages"].to_list()
        pool = pool * -(-count // len(pool))
    else:
        pool = rows(4 * count)
    encoded = [row for row in load_chat(model).encode(pool) if row.has_response]
    return encoded[:count]


def _train(model: ModelSettings, encoded: list[Any], recipe: Recipe) -> tuple[Ticks, list[Any]]:
    """The steps of the stage `train`, with its loss curve and a checkpoint after the last step."""
    net = load_trainable(model, recipe)
    clock = _clock()
    with temporary_folder() as home, loss_curve(home / "curve") as curve:
        recipe = replace(recipe, save_steps=len(encoded) // recipe.batch_size)
        fit(net, load_tokenizer(model), encoded, home / "fit", recipe, [curve, clock])
    return clock.ticks(), _trained(net)


def _bare_loop(model: ModelSettings, encoded: list[Any], recipe: Recipe) -> tuple[Ticks, list[Any]]:
    net = load_trainable(model, recipe).train()
    weights = _trained(net)
    steps = len(encoded) // recipe.batch_size
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0, fused=True)
    schedule = transformers.get_linear_schedule_with_warmup(
        optimizer, int(np.ceil(recipe.warmup * steps)), steps
    )
    order = list(random_order(encoded, derived_seed(recipe.seed, "order of training"))(0))
    padding = load_tokenizer(model).pad_token_id
    marks = []
    for step in range(steps):
        numbers = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        batch = [encoded[number] for number in numbers]
        targets = torch.tensor(sum(int(row.response[1:].sum()) for row in batch))
        for start in range(0, len(batch), recipe.micro_batch_size):
            inputs = _padded(batch[start : start + recipe.micro_batch_size], padding)
            net(**inputs, num_items_in_batch=targets).loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, recipe.max_grad_norm)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        marks.append((time.process_time(), time.perf_counter()))
    return _elapsed(marks), weights


def _padded(batch: list[Any], padding: int) -> dict[str, torch.Tensor]:
    shape = len(batch), max(len(row.ids) for row in batch)
    ids, labels = torch.full(shape, padding), torch.full(shape, -100)
    mask = torch.zeros(shape, dtype=torch.int64)
    for number, row in enumerate(batch):
        length = len(row.ids)
        ids[number, :length] = torch.from_numpy(row.ids)
        labels[number, :length] = torch.from_numpy(np.where(row.response, row.ids, -100))
        mask[number, :length] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _trained(net: Any) -> list[Any]:
    return [weight for weight in net.parameters() if weight.requires_grad]


def _clock() -> Any:
    """A callback: the seconds from the end of the first step to the end of training."""

    class Clock(transformers.TrainerCallback):
        def __init__(self) -> None:
            self.marks: list[tuple[float, float]] = []

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.marks.append((time.process_time(), time.perf_counter()))

        on_train_end = on_step_end

        def ticks(self) -> Ticks:
            return _elapsed(self.marks)

    return Clock()


def _elapsed(marks: list[tuple[float, float]]) -> Ticks:
    (first_cpu, first_wall), (cpu, wall) = marks[0], marks[-1]
    return Ticks(cpu - first_cpu, wall - first_wall)


if __name__ == "__main__":
    main()
