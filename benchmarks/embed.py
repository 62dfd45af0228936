"""Measures the features against one row at a time, and against the processor's matrix product.

    OMP_NUM_THREADS=2 python benchmarks/embed.py [--small]

On real rows and the 6.8 M-parameter model of ../shared (not shipped). The published way is written
here in a few plain lines: batch 1, fp32, LM head on, scores in a dictionary. The last part is a
Llama shape of some 100 M parameters with random weights, whose FLOPs per second are compared with
those of a plain matrix product in the same process and precision. On a GPU the shapes are of 1 B
and 7 B parameters, for several sizes of batch, and the result is another file. `--small` takes a
few rows, and saves nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from measuring import RESULTS, in_new_process, machine, save_result, timed
from shapes import MODEL, SHAPES, build_encoder, product_flops, rows

from dataselect.compute import no_progress
from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed.hidden_states import hidden_states
from dataselect.embed.losses import losses
from dataselect.embed.trajectories import trajectories
from dataselect.models.batches import Batches
from dataselect.models.chat import Encoded, load_chat
from dataselect.models.flops import forward_flops
from dataselect.models.load import load_causal
from dataselect.models.precision import torch_dtype
from dataselect.models.settings import ModelSettings
from dataselect.reference import warmup
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe

#: Rows of each part: the LM head of the losses costs more, and gradients cost most.
ROWS = {"vectors": 2_000, "loss": 400, "trajectory": 400, "gradient": 48}
LARGE_ROWS = 48
#: On a GPU, where all is to take a minute.
GPU_ROWS = {"vectors": 1_000, "loss": 200, "trajectory": 200, "gradient": 48}
GPU_SHAPES = {"1B": 2_048, "8B": 768}
#: Checkpoints of the trajectories; the model itself stands in for each.
CHECKPOINTS = 2


def main() -> None:
    """Measures all parts."""
    small = "--small" in sys.argv
    if torch.cuda.is_available():
        on_gpu(small=small)
        return
    runs = {part: in_new_process("embed", part, count=4 if small else count)
            for part, count in ROWS.items()}  # fmt: skip
    count = 2 if small else LARGE_ROWS
    runs["bfloat16"] = in_new_process(
        "feature_types", "bfloat16", count=4 if small else ROWS["loss"]
    )
    runs["large"] = in_new_process("embed", "shape", size="100M", count=count)
    if not small:
        save_result("embed", {"threads": os.environ.get("OMP_NUM_THREADS"), **runs})


def on_gpu(*, small: bool) -> None:
    """All parts in this process, as a start takes seconds: `packed` in the result of a GPU."""
    from gpu_shapes import shape_on_gpu

    run: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "machine": machine()}
    run["libraries"] = {name: version(name) for name in ("torch", "transformers")}
    parts = {"vectors": vectors, "loss": loss, "trajectory": trajectory, "gradient": gradient}
    for name, part in parts.items():
        run[name] = part(4 if small else GPU_ROWS[name])
        print(name, run[name], flush=True)  # noqa: T201
    for size, count in GPU_SHAPES.items():
        run[size] = shape_on_gpu(size, 128 if small else count)
    if not small:
        path = RESULTS / "embed_gpu.json"
        result = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**result, "packed": run}, indent=1) + "\n")


def vectors(count: int) -> dict[str, Any]:
    """Embeddings: length-sorted batches without the head, against one row at a time with it."""

    def single(net: Any, row: Encoded) -> list[float]:
        states = net(input_ids=_ids(row, net), output_hidden_states=True).hidden_states[-1][0]
        weight = torch.arange(1, len(states) + 1, device=states.device)[:, None]
        pooled = (states * weight).sum(0) / weight.sum()
        return (pooled / pooled.norm()).tolist()

    featurizer = hidden_states().load(_measured(), [])
    run, ours, theirs = _compare(featurizer, "vectors", count, single)
    cosines = (ours.astype(np.float64) * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1)
    return _with_ratio(run) | {"least_cosine": round(float(cosines.min()), 6)}


def loss(count: int) -> dict[str, Any]:
    """Losses of whole rows, against one row at a time."""

    def single(net: Any, row: Encoded) -> float:
        return net(input_ids=_ids(row, net), labels=_ids(row, net)).loss.item()

    run, ours, theirs = _compare(losses().load(_measured(), []), "whole_nll", count, single)
    return _with_ratio(run) | {"most_relative_gap": _gap(ours, theirs)}


def trajectory(count: int) -> dict[str, Any]:
    """Losses of responses before training and at every checkpoint, against one row at a time."""

    def single(net: Any, row: Encoded) -> list[float]:
        inputs = {"input_ids": _ids(row, net), "labels": _labels(row, net)}
        return [net(**inputs).loss.item() for _ in range(CHECKPOINTS + 1)][1:]

    checkpoints = [Checkpoint(Path(MODEL.name), 1.0)] * CHECKPOINTS
    featurizer = trajectories().load(_measured(), checkpoints)
    run, ours, theirs = _compare(featurizer, "nll", count, single)
    gap = _gap(ours, theirs)
    return _with_ratio(run) | {"checkpoints": CHECKPOINTS, "most_relative_gap": gap}


def _measured() -> ModelSettings:
    """The model as it is compared with float32: in float32 too, but on a GPU."""
    return MODEL if torch.cuda.is_available() else replace(MODEL, dtype="float32")


def _gap(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.nanmax(np.abs(ours - theirs) / ours))


def _ids(row: Encoded, net: Any) -> torch.Tensor:
    return torch.from_numpy(row.ids.astype(np.int64))[None].to(net.device)


def _labels(row: Encoded, net: Any) -> torch.Tensor:
    return torch.where(torch.from_numpy(row.response)[None].to(net.device), _ids(row, net), -100)


def _compare(
    featurizer: Featurizer, name: str, count: int, single: Callable[[Any, Any], Any]
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """A feature of a sample, and the same row by row into a dictionary: times, ours, theirs."""
    sample = rows(count)
    net, chat = load_causal(MODEL, "float32"), load_chat(MODEL)
    featurizer(sample[:16], "pool", no_progress)
    run = size_of(sample)
    with timed(run):
        ours = featurizer(sample, "pool", no_progress)[name]
    store = {}
    with timed(run, "batch_1_seconds"), torch.inference_mode():
        for number, row in enumerate(sample):
            store[number] = single(net, chat.encode([row])[0])
    return run, ours, np.asarray(list(store.values()))


def gradient(count: int) -> dict[str, Any]:
    """LoRA gradients of rank 8: a batch with an adapter per row, against a pass per row."""
    from dataselect.models.row_gradients import row_gradients

    sample = rows(count)
    recipe = Recipe(
        method="lora", lora_rank=8, lora_alpha=32, lora_dropout=0.0,
        lora_modules=list(warmup.MODULES),
    )  # fmt: skip
    net = add_adapters(load_causal(MODEL, "float32"), recipe).eval()
    names = {n: p for n, p in net.named_parameters() if p.requires_grad}
    chat = load_chat(replace(MODEL, max_tokens=512))
    encoded = [row for row in chat.encode(sample) if row.has_response]
    run = size_of(sample)
    with timed(run):
        ours = row_gradients(net, names, encoded, Batches(512))
    with timed(run, "batch_1_seconds"):
        for row in encoded:
            net.zero_grad()
            net(input_ids=_ids(row, net), labels=_labels(row, net)).loss.backward()
            theirs = torch.cat([p.grad.flatten() for p in names.values()]).cpu()
    gap = float((ours[-1].cpu() - theirs).norm() / theirs.norm())
    return _with_ratio(run) | {"relative_gap_of_the_last": gap}


def shape(size: str, count: int) -> dict[str, Any]:
    """Embeddings by a Llama shape with random weights: the share of the matrix product."""
    sample = rows(count)
    net = build_encoder(SHAPES[size], torch_dtype("auto"))
    with patch("dataselect.models.load.load_encoder", lambda _: net):
        featurizer = hidden_states().load(MODEL, [])
    featurizer(sample[:64], "pool", no_progress)
    run = size_of(sample)
    with timed(run):
        featurizer(sample, "pool", no_progress)
    peak = product_flops(net.dtype)
    speed = forward_flops(net, head=False) * run["tokens"] / run["seconds"]
    return {
        **run, "tokens_per_second": round(run["tokens"] / run["seconds"]),
        "gflops": round(speed / 1e9, 1), "share_of_the_product": round(speed / peak, 3),
        "parameters": sum(p.numel() for p in net.parameters()), "precision": str(net.dtype),
        "product_gflops": round(peak / 1e9, 1),
    }  # fmt: skip


def size_of(sample: list[Any]) -> dict[str, Any]:
    """How many rows and tokens a sample has."""
    tokens = sum(len(row.ids) for row in load_chat(MODEL).encode(sample))
    return {"rows": len(sample), "tokens": tokens}


def _with_ratio(run: dict[str, Any]) -> dict[str, Any]:
    speed = round(run["tokens"] / run["seconds"])
    ratio = round(run["batch_1_seconds"] / run["seconds"], 2)
    return {**run, "tokens_per_second": speed, "times_batch_1": ratio}


if __name__ == "__main__":
    main()
