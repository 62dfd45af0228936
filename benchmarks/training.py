"""Measures training by tokens per second, and by its share of the processor's matrix product.

    OMP_NUM_THREADS=1 python benchmarks/training.py [--small]

Real rows of ../shared (not shipped), Llama shapes with random weights: full fine-tuning and LoRA,
each with and without gradient checkpointing, and full with packed rows. On a GPU the shape has 1 B
parameters, elsewhere 14 M. The first step, which sets things up, is not counted. Needed FLOPs are
those of `models.flops`; what padding takes, and what checkpointing computes again, is not needed.
Without a GPU seconds are those of the processor: others may use the machine meanwhile.
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

from dataselect.models.chat import load_chat
from dataselect.models.flops import training_flops
from dataselect.models.load import load_causal, load_tokenizer
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe, fit

#: Rows a step, steps, and micro-batch of a shape.
RUNS = {"tiny": (8, 4, 2), "14M": (16, 3, 4), "1B": (64, 12, 4), "7B": (64, 4, 4)}
#: Most tokens of a row; where nothing stands, 2,048.
MAX_TOKENS = {"14M": 512}
SMALL_SHAPE = {
    "hidden_size": 384, "intermediate_size": 1_024, "num_hidden_layers": 6,
    "num_attention_heads": 6, "num_key_value_heads": 6,
}  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    f"{method}{', checkpointing' if saving else ''}": {
        "method": method,
        "gradient_checkpointing": saving,
    }
    for method in ("full", "lora")
    for saving in (False, True)
} | {"full, packed": {"packed": True}}


def main() -> None:
    """Runs every way of training in a process of its own."""
    small, on_gpu = "--small" in sys.argv, torch.cuda.is_available()
    sizes = ["tiny"] if small else ["1B"] if on_gpu else ["14M"]
    jobs = [(size, way) for size in sizes for way in WAYS]
    if on_gpu and not small:  # the rest of 7 B, with fp32 weights, is larger than a GPU
        jobs.append(("7B", "lora, checkpointing"))
    results: dict[str, Any] = {}
    for size, way in jobs:
        run = in_new_process("training", "train", size=size, way=way)
        results.setdefault(size, {})[way] = run
    if not small:
        gpu = {"gpu": torch.cuda.get_device_name()} if on_gpu else {}
        threads = {} if on_gpu else {"threads": os.environ.get("OMP_NUM_THREADS")}
        save_result("training_gpu" if on_gpu else "training", {**gpu, **threads, **results})


def train(size: str, way: str) -> dict[str, Any]:
    """Some steps of one way of training: its speed and the memory of the device."""
    batch, steps, micro_batch = RUNS[size]
    recipe = Recipe(
        epochs=1, batch_size=batch, micro_batch_size=micro_batch, save_steps=10_000, **WAYS[way]
    )
    with tempfile.TemporaryDirectory() as folder:
        limit = MAX_TOKENS.get(size, MODEL.max_tokens)
        model = replace(MODEL, name=folder, dtype="float32", max_tokens=limit)
        make_model(folder, (SHAPES | {"14M": SMALL_SHAPE}).get(size, {}), "float32")
        net = add_adapters(load_causal(model), recipe)
        encoded = load_chat(model).encode(rows(2 * batch * steps))
        encoded = [row for row in encoded if row.has_response][: batch * steps]
        clock = _step_clock()
        fit(net, load_tokenizer(model), encoded, Path(folder), recipe, [clock])
    return {"micro_batch_size": micro_batch, **_speed(net, encoded, clock.seconds, steps)}


def _speed(net: Any, encoded: list[Any], seconds: list[float], steps: int) -> dict[str, Any]:
    on_gpu = torch.cuda.is_available()
    tokens = sum(len(row.ids) for row in encoded)
    # Rows are drawn in random order: every step has much the same number of tokens.
    per_second = tokens * (steps - 1) / steps / (seconds[-1] - seconds[0])
    dtype = torch.bfloat16 if on_gpu else torch.float32
    flops = training_flops(net, 1) * per_second
    peak = product_flops(dtype, _clock())
    memory = {"gpu_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1)} if on_gpu else {}
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "trained": sum(p.numel() for p in net.parameters() if p.requires_grad),
        "rows": len(encoded), "tokens": tokens, "tokens_per_second": round(per_second),
        "gflops": round(flops / 1e9, 1), "product_gflops": round(peak / 1e9, 1),
        "share_of_the_product": round(flops / peak, 3), **memory,
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
