"""Measures the features against one row at a time, and against the processor's matrix product.

    OMP_NUM_THREADS=2 python benchmarks/embed.py

On real rows and the 6.8 M-parameter model of ../shared (not shipped). The published way is written
here in a few plain lines: batch 1, fp32, LM head on, scores in a dictionary. The last part is a
Llama shape of some 100 M parameters with random weights, whose FLOPs a second are set against those
of a plain matrix product in the same process and precision. Where there is a GPU, it is that part
alone, with a 1 B and a 7 B shape, whose result is another file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from measuring import apart, best_of, keep, timed

from dataselect.compute import no_progress
from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed import hidden_states, losses, trajectories
from dataselect.models.chat import Chat, Encoded
from dataselect.models.flops import forward_flops
from dataselect.models.load import load_causal, load_encoder, load_tokenizer, torch_dtype
from dataselect.reference import warmup
from dataselect.train.fit import add_adapters

SHARED = Path(__file__).parents[2] / "shared"
MODEL = {"name": str(SHARED / "models/base"), "revision": None, "dtype": "auto", "chat": "tulu",
         "max_tokens": 2_048, "trust_remote_code": False}  # fmt: skip
#: Rows for the embeddings; for the losses, whose head costs more; and for the gradients.
ROWS, FEWER, FEWEST = 2_000, 400, 48
SHAPES = {
    size: dict(zip(("hidden_size", "intermediate_size", "num_hidden_layers",
                    "num_attention_heads", "num_key_value_heads"), numbers, strict=True))
    for size, numbers in {"100M": (768, 2_048, 12, 12, 12), "1B": (2_048, 5_632, 22, 32, 4),
                          "7B": (4_096, 11_008, 32, 32, 32)}.items()
}  # fmt: skip
LARGE_ROWS, ON_GPU = 48, 4_096
#: Checkpoints of the trajectories, which the model itself stands in for.
CHECKPOINTS = 2


def main() -> None:
    """Runs every part in a process of its own."""
    if torch.cuda.is_available():
        sizes = {size: apart("embed", "shape", size=size, count=ON_GPU) for size in ("1B", "7B")}
        keep("embed_gpu", {"gpu": torch.cuda.get_device_name(), **sizes})
        return
    runs = {name: apart("embed", name) for name in ("vectors", "loss", "trajectory", "gradient")}
    runs["large"] = apart("embed", "shape", size="100M", count=LARGE_ROWS)
    keep("embed", {"threads": os.environ.get("OMP_NUM_THREADS"), **runs})


def rows(count: int) -> list[list[dict[str, str]]]:
    """A seeded sample of the real pool."""
    pool = pl.read_parquet(SHARED / "data/pool.parquet", columns=["messages"])
    return pool.sample(count, seed=0)["messages"].to_list()


def vectors() -> dict[str, Any]:
    """Embeddings: length-sorted batches without the head, against one row at a time with it."""

    def alone(net: Any, one: Encoded) -> list[float]:
        states = net(input_ids=_ids(one), output_hidden_states=True).hidden_states[-1][0]
        weight = torch.arange(1, len(states) + 1)[:, None]
        pooled = (states * weight).sum(0) / weight.sum()
        return (pooled / pooled.norm()).tolist()

    run, ours, theirs = _against(hidden_states.hidden_states(MODEL), "vectors", ROWS, alone)
    cosines = (ours.astype(np.float64) * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1)
    return _ratio(run) | {"least_cosine": round(float(cosines.min()), 6)}


def loss() -> dict[str, Any]:
    """Losses of whole rows, against one row at a time."""

    def alone(net: Any, one: Encoded) -> float:
        return net(input_ids=_ids(one), labels=_ids(one)).loss.item()

    run, ours, theirs = _against(losses.losses(MODEL), "whole_nll", FEWER, alone)
    return _ratio(run) | {"most_relative_gap": _gap(ours, theirs)}


def trajectory() -> dict[str, Any]:
    """Losses of responses before training and at every checkpoint, against one row at a time."""

    def alone(net: Any, one: Encoded) -> list[float]:
        times = range(CHECKPOINTS + 1)
        return [net(input_ids=_ids(one), labels=_labels(one)).loss.item() for _ in times][1:]

    there = [Checkpoint(Path(str(MODEL["name"])), 1.0)] * CHECKPOINTS
    compute = trajectories.trajectories(MODEL, there)
    run, ours, theirs = _against(compute, "nll", FEWER, alone)
    return _ratio(run) | {"checkpoints": CHECKPOINTS, "most_relative_gap": _gap(ours, theirs)}


def _gap(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.nanmax(np.abs(ours - theirs) / ours))


def _ids(one: Encoded) -> torch.Tensor:
    return torch.from_numpy(one.ids.astype(np.int64))[None]


def _labels(one: Encoded) -> torch.Tensor:
    return torch.where(torch.from_numpy(one.response)[None], _ids(one), -100)


def _against(
    compute: Featurizer, name: str, count: int, alone: Callable[[Any, Any], Any]
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """A feature of a sample and the same a row at a time into a dictionary: times, ours, theirs."""
    sample = rows(count)
    net, chat = load_causal({**MODEL, "dtype": "float32"}), _chat()
    compute(sample[:16], "pool", no_progress)
    run = _run(sample)
    with timed(run):
        ours = compute(sample, "pool", no_progress)[name]
    store = {}
    with timed(run, "batch_1_seconds"), torch.inference_mode():
        for number, row in enumerate(sample):
            store[number] = alone(net, chat.encode([row])[0])
    return run, ours, np.asarray(list(store.values()))


def gradient() -> dict[str, Any]:
    """LoRA gradients of rank 8: a batch with an adapter a row, against a pass a row."""
    from dataselect.embed.gradients import _of_rows
    from dataselect.models.batches import Batches

    sample = rows(FEWEST)
    adapters = {"method": "lora", "lora_rank": 8, "lora_alpha": 32, "lora_dropout": 0.0,
                "lora_modules": list(warmup.MODULES), "gradient_checkpointing": False}  # fmt: skip
    net = add_adapters(load_causal({**MODEL, "dtype": "float32"}), adapters).eval()
    names = {n: p for n, p in net.named_parameters() if p.requires_grad}
    encoded = [one for one in _chat(512).encode(sample) if one.has_response]
    run = _run(sample)
    with timed(run):
        ours = _of_rows(net, names, encoded, Batches(512))
    with timed(run, "batch_1_seconds"):
        for one in encoded:
            net.zero_grad()
            net(input_ids=_ids(one), labels=_labels(one)).loss.backward()
            theirs = torch.cat([p.grad.flatten() for p in names.values()])
    gap = float((ours[-1] - theirs).norm() / theirs.norm())
    return _ratio(run) | {"relative_gap_of_the_last": gap}


def shape(size: str, count: int) -> dict[str, Any]:
    """Embeddings by a Llama shape with random weights: the share of the matrix product."""
    sample = rows(count)
    with tempfile.TemporaryDirectory() as folder:
        _make(folder, SHAPES[size])
        model = {**MODEL, "name": folder}
        compute, net = hidden_states.hidden_states(model), load_encoder(model)
    compute(sample[:4], "pool", no_progress)
    run = _run(sample)
    with timed(run):
        compute(sample, "pool", no_progress)
    peak = _product(net)
    done = forward_flops(net, head=False) * run["tokens"] / run["seconds"]
    return {
        **run, "parameters": sum(p.numel() for p in net.parameters()),
        "tokens_per_second": round(run["tokens"] / run["seconds"]),
        "precision": str(net.dtype), "gflops": round(done / 1e9, 1),
        "product_gflops": round(peak / 1e9, 1), "share_of_the_product": round(done / peak, 3),
    }  # fmt: skip


def _make(folder: str, shape: dict[str, int]) -> None:
    """A model of this shape, in the precision that it is loaded in, and a tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(str(MODEL["name"]))
    for name, value in shape.items():
        setattr(config, name, value)
    config.head_dim = shape["hidden_size"] // shape["num_attention_heads"]
    net = AutoModelForCausalLM.from_config(config, dtype=torch_dtype("auto"))
    net.save_pretrained(folder)
    load_tokenizer(MODEL).save_pretrained(folder)


def _product(net: Any) -> float:
    """FLOP/s of a plain matrix product on the model's device and in its precision."""
    on_gpu = net.device.type == "cuda"
    width = 8_192 if on_gpu else 1_024
    a = torch.randn(width, width, device=net.device).to(net.dtype)

    def once() -> None:
        a @ a
        if on_gpu:
            torch.cuda.synchronize()

    return 2 * width**3 / best_of(20, once)


def _chat(most: int = 2_048) -> Chat:
    return Chat(load_tokenizer(MODEL), "tulu", most)


def _run(sample: list[Any]) -> dict[str, Any]:
    tokens = sum(len(one.ids) for one in _chat().encode(sample))
    return {"rows": len(sample), "tokens": tokens}


def _ratio(run: dict[str, Any]) -> dict[str, Any]:
    speed = round(run["tokens"] / run["seconds"])
    ratio = round(run["batch_1_seconds"] / run["seconds"], 2)
    return {**run, "tokens_per_second": speed, "times_batch_1": ratio}


if __name__ == "__main__":
    main()
