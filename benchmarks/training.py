"""Measures training by tokens per second, and by its share of the processor's matrix product.

    OMP_NUM_THREADS=1 python benchmarks/training.py [--small]

Real rows of ../shared (not shipped), Llama shapes with random weights: full fine-tuning and LoRA,
each with and without gradient checkpointing, full with packed rows, and under autocast to bf16,
against a matrix product in bf16. On a GPU the shapes have 1 B and 7 B parameters, there are more
ways (bf16, 8-bit AdamW and nf4: bitsandbytes is needed), and the peak of its memory stands beside
the plan's estimate; elsewhere the shape has 14 M. The first step, which sets things up, is not
counted. Needed FLOPs are those of `models.flops`; what padding takes, and what checkpointing
computes again, is not needed. Without a GPU seconds are those of the processor: others may use the
machine meanwhile.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from measuring import in_new_process, save_result
from shapes import MODEL, SHAPES, make_model, product_flops, rows

from dataselect.compute.memory import free_memory
from dataselect.models.chat import load_chat
from dataselect.models.flops import training_flops
from dataselect.models.load import load_architecture, load_tokenizer
from dataselect.models.settings import ModelSettings
from dataselect.train.fit import Recipe, fit
from dataselect.train.memory import Machine, needed
from dataselect.train.nets import computes_in_bfloat16, load_trainable

#: Rows a step, steps, and micro-batch of a shape.
RUNS = {"tiny": (8, 4, 2), "14M": (16, 3, 4), "1B": (64, 3, 4), "7B": (32, 3, 2)}
#: Most tokens of a row; where nothing stands, 2,048.
MAX_TOKENS = {"14M": 512}
SMALL_SHAPE = {
    "hidden_size": 384, "intermediate_size": 1_024, "num_hidden_layers": 6,
    "num_attention_heads": 6, "num_key_value_heads": 6,
}  # fmt: skip

SAVING: dict[str, Any] = {"gradient_checkpointing": True}
BF16: dict[str, Any] = {"weights": "bfloat16"}
LORA: dict[str, Any] = {"method": "lora"}
WAYS: dict[str, dict[str, Any]] = {
    "full": {},
    "full, checkpointing": SAVING,
    "lora": LORA,
    "lora, checkpointing": LORA | SAVING,
    "full, packed": {"packed": True},
}
#: Those of a processor beside them: a GPU computes in bf16 where nothing is said.
PROCESSOR_WAYS: dict[str, dict[str, Any]] = {
    "full, bf16 autocast": {"dtype": "bfloat16"},
    "lora, bf16 autocast": LORA | {"dtype": "bfloat16"},
}
#: Those of a GPU beside them. The full ones of 7 B are in bf16: with fp32 it is larger than most.
GPU_WAYS: dict[str, dict[str, Any]] = {
    "full, bf16": BF16,
    "full, bf16, checkpointing": BF16 | SAVING,
    "full, bf16, adamw_float32": BF16 | {"optimizer": "adamw_float32"},
    "full, bf16, adamw_8bit": BF16 | {"optimizer": "adamw_8bit"},
    "full, bf16, 16 rows": BF16 | {"micro_batch_size": 16},
    "full, bf16, packed, 16 rows": BF16 | {"packed": True, "micro_batch_size": 16},
    "lora, bf16, checkpointing": LORA | BF16 | SAVING,
    "lora, nf4, checkpointing": LORA | {"weights": "nf4"} | SAVING,
}
LARGE_WAYS: dict[str, dict[str, Any]] = {
    "full, bf16, checkpointing": BF16 | SAVING,
    "full, bf16, checkpointing, adamw_8bit": BF16 | SAVING | {"optimizer": "adamw_8bit"},
    "lora, bf16, checkpointing": LORA | BF16 | SAVING,
    "lora, nf4, checkpointing": LORA | {"weights": "nf4"} | SAVING,
}


def main() -> None:
    """Runs every way of training; on a processor in a process of its own, for its peak."""
    small, on_gpu = "--small" in sys.argv, torch.cuda.is_available()
    results: dict[str, Any] = {}
    if on_gpu and not small:
        results["gpu"] = torch.cuda.get_device_name()
        results["1B"] = in_new_process("training", "train_all", size="1B", ways=WAYS | GPU_WAYS)
        results["7B"] = in_new_process("training", "train_all", size="7B", ways=LARGE_WAYS)
        save_result("training_gpu", results)
        return
    size = "tiny" if small else "14M"
    results["threads"] = os.environ.get("OMP_NUM_THREADS")
    for way, settings in (WAYS | PROCESSOR_WAYS).items():
        run = in_new_process("training", "train_all", size=size, ways={way: settings})
        results.setdefault(size, {})[way] = {**run[way], "peak_mb": run["peak_mb"]}
    if not small:
        save_result("training", results)


def train_all(size: str, ways: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Trains a shape in some ways: `train` of each, by name."""
    runs: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        dtype = "bfloat16" if size == "7B" else "float32"
        make_model(folder, (SHAPES | {"14M": SMALL_SHAPE}).get(size, {}), dtype)
        for way, settings in ways.items():
            free_memory()
            if torch.cuda.is_available():
                torch.cuda.reset_peak_memory_stats()
            runs[way] = train(folder, size, settings)
            print(f"{size} {way}: {runs[way]}", file=sys.stderr)  # noqa: T201
    return runs


def train(folder: str, size: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Some steps of one way of training: its speed and the memory of the device."""
    batch, steps, micro_batch = RUNS[size]
    batches: dict[str, Any] = {"batch_size": batch, "micro_batch_size": micro_batch}
    recipe = Recipe(epochs=1, save_steps=10_000, **{**batches, **settings})
    model = replace(MODEL, name=folder, max_tokens=MAX_TOKENS.get(size, MODEL.max_tokens))
    net = load_trainable(model, recipe)
    encoded = load_chat(model).encode(rows(2 * batch * steps))
    encoded = [row for row in encoded if row.has_response][: batch * steps]
    clock = _step_clock()
    with tempfile.TemporaryDirectory() as home:
        fit(net, load_tokenizer(model), encoded, Path(home), recipe, [clock])
    return {
        "micro_batch_size": recipe.micro_batch_size,
        **_speed(net, encoded, clock.seconds, steps, recipe),
        **_memory(model, recipe, max(len(row.ids) for row in encoded)),
    }


def _memory(model: ModelSettings, recipe: Recipe, longest: int) -> dict[str, Any]:
    """The peak of a GPU's memory, and the plan's estimate of it, GB."""
    if not torch.cuda.is_available():
        return {}
    found: dict[str, Any] = {"gpu_gb": round(torch.cuda.max_memory_allocated() / 1e9, 2)}
    shape = load_architecture(model)
    if shape is not None and not recipe.packed:  # whose micro-batches have no longest row
        computes = "bfloat16" if computes_in_bfloat16(recipe) else "float32"
        tokens = recipe.micro_batch_size * longest
        need = needed(shape, recipe, tokens, computes, Machine(None, True, 1)).total
        found["estimated_gb"] = round(need / 1e9, 2)
    return found


def _speed(
    net: Any, encoded: list[Any], seconds: list[float], steps: int, recipe: Recipe
) -> dict[str, Any]:
    tokens = sum(len(row.ids) for row in encoded)
    # Rows are drawn in random order: every step has much the same number of tokens.
    per_second = tokens * (steps - 1) / steps / (seconds[-1] - seconds[0])
    dtype = torch.bfloat16 if computes_in_bfloat16(recipe) else torch.float32
    flops = training_flops(net, 1) * per_second
    peak = product_flops(dtype, _clock())
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "trained": sum(p.numel() for p in net.parameters() if p.requires_grad),
        "rows": len(encoded), "tokens": tokens, "tokens_per_second": round(per_second),
        "gflops": round(flops / 1e9, 1), "product_gflops": round(peak / 1e9, 1),
        "share_of_the_product": round(flops / peak, 3),
    }  # fmt: skip


def _clock() -> Callable[[], float]:
    return time.perf_counter if torch.cuda.is_available() else time.process_time


def _step_clock() -> Any:
    """A callback that notes when each step ended."""
    from transformers import TrainerCallback

    class StepClock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.seconds.append(_clock()())

    return StepClock()


if __name__ == "__main__":
    main()
