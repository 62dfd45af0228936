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

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from measuring import in_new_process, save_result, timed
from shapes import MODEL, SHAPES, make_model, product_flops, rows

from dataselect.compute import no_progress
from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed.hidden_states import hidden_states
from dataselect.embed.losses import losses
from dataselect.embed.trajectories import trajectories
from dataselect.models.batches import Batches
from dataselect.models.chat import Encoded, load_chat
from dataselect.models.flops import forward_flops
from dataselect.models.load import load_causal, load_encoder
from dataselect.reference import warmup
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe

#: Rows of each part: the LM head of the losses costs more, and gradients cost most.
ROWS = {"vectors": 2_000, "loss": 400, "trajectory": 400, "gradient": 48}
LARGE_ROWS, GPU_ROWS = 48, 4_096
#: On a GPU: padded tokens of a batch.
BUDGETS = (16_384, 32_768, 131_072)
#: Checkpoints of the trajectories; the model itself stands in for each.
CHECKPOINTS = 2


def main() -> None:
    """Runs every part in a process of its own."""
    small = "--small" in sys.argv
    on_gpu = torch.cuda.is_available()
    runs = {part: in_new_process("embed", part, count=4 if small else count)
            for part, count in ROWS.items()}  # fmt: skip
    if on_gpu:
        count = 64 if small else GPU_ROWS
        for size in ("1B", "7B"):
            runs[size] = in_new_process("embed", "shape", size=size, count=count, budgets=BUDGETS)
        name, machine = "embed_gpu", {"gpu": torch.cuda.get_device_name()}
    else:
        count = 2 if small else LARGE_ROWS
        runs["large"] = in_new_process("embed", "shape", size="100M", count=count)
        name, machine = "embed", {"threads": os.environ.get("OMP_NUM_THREADS")}
    if not small:
        save_result(name, {**machine, **runs})


def vectors(count: int) -> dict[str, Any]:
    """Embeddings: length-sorted batches without the head, against one row at a time with it."""

    def single(net: Any, row: Encoded) -> list[float]:
        states = net(input_ids=_ids(row, net), output_hidden_states=True).hidden_states[-1][0]
        weight = torch.arange(1, len(states) + 1, device=states.device)[:, None]
        pooled = (states * weight).sum(0) / weight.sum()
        return (pooled / pooled.norm()).tolist()

    featurizer = hidden_states().load(MODEL, [])
    run, ours, theirs = _compare(featurizer, "vectors", count, single)
    cosines = (ours.astype(np.float64) * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1)
    return _with_ratio(run) | {"least_cosine": round(float(cosines.min()), 6)}


def loss(count: int) -> dict[str, Any]:
    """Losses of whole rows, against one row at a time."""

    def single(net: Any, row: Encoded) -> float:
        return net(input_ids=_ids(row, net), labels=_ids(row, net)).loss.item()

    run, ours, theirs = _compare(losses().load(MODEL, []), "whole_nll", count, single)
    return _with_ratio(run) | {"most_relative_gap": _gap(ours, theirs)}


def trajectory(count: int) -> dict[str, Any]:
    """Losses of responses before training and at every checkpoint, against one row at a time."""

    def single(net: Any, row: Encoded) -> list[float]:
        inputs = {"input_ids": _ids(row, net), "labels": _labels(row, net)}
        return [net(**inputs).loss.item() for _ in range(CHECKPOINTS + 1)][1:]

    checkpoints = [Checkpoint(Path(MODEL.name), 1.0)] * CHECKPOINTS
    featurizer = trajectories().load(MODEL, checkpoints)
    run, ours, theirs = _compare(featurizer, "nll", count, single)
    gap = _gap(ours, theirs)
    return _with_ratio(run) | {"checkpoints": CHECKPOINTS, "most_relative_gap": gap}


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
    run = _size(sample)
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
    run = _size(sample)
    with timed(run):
        ours = row_gradients(net, names, encoded, Batches(512))
    with timed(run, "batch_1_seconds"):
        for row in encoded:
            net.zero_grad()
            net(input_ids=_ids(row, net), labels=_labels(row, net)).loss.backward()
            theirs = torch.cat([p.grad.flatten() for p in names.values()]).cpu()
    gap = float((ours[-1].cpu() - theirs).norm() / theirs.norm())
    return _with_ratio(run) | {"relative_gap_of_the_last": gap}


def shape(size: str, count: int, budgets: Sequence[int] = ()) -> dict[str, Any]:
    """Embeddings by a Llama shape with random weights: the share of the matrix product.

    Args:
        budgets: padded tokens of a batch to try; none: what the stage uses.
    """
    sample = rows(count)
    with tempfile.TemporaryDirectory() as folder:
        make_model(folder, SHAPES[size])
        net = load_encoder(replace(MODEL, name=folder, dtype="auto"))
    # Loaded once: a 7 B model takes longer to load than these rows to embed.
    with patch("dataselect.models.load.load_encoder", lambda _: net):
        runs = {None: _embed(sample)}
        for budget in budgets:
            with patch.object(Batches, "on", lambda *_, budget=budget, **__: Batches(budget)):
                runs[budget] = _embed(sample)
    peak = product_flops(net.dtype)
    flops = forward_flops(net, head=False)
    for run in runs.values():
        speed = flops * run["tokens"] / run["seconds"]
        run["tokens_per_second"] = round(run["tokens"] / run["seconds"])
        run["gflops"] = round(speed / 1e9, 1)
        run["share_of_the_product"] = round(speed / peak, 3)
    return {
        **runs.pop(None), "parameters": sum(p.numel() for p in net.parameters()),
        "precision": str(net.dtype), "product_gflops": round(peak / 1e9, 1),
        **({"padded_tokens_per_batch": runs} if runs else {}),
    }  # fmt: skip


def _embed(sample: list[Any]) -> dict[str, Any]:
    featurizer = hidden_states().load(MODEL, [])
    featurizer(sample[:64], "pool", no_progress)
    run = _size(sample)
    with timed(run):
        featurizer(sample, "pool", no_progress)
    return run


def _size(sample: list[Any]) -> dict[str, Any]:
    tokens = sum(len(row.ids) for row in load_chat(MODEL).encode(sample))
    return {"rows": len(sample), "tokens": tokens}


def _with_ratio(run: dict[str, Any]) -> dict[str, Any]:
    speed = round(run["tokens"] / run["seconds"])
    ratio = round(run["batch_1_seconds"] / run["seconds"], 2)
    return {**run, "tokens_per_second": speed, "times_batch_1": ratio}


if __name__ == "__main__":
    main()
