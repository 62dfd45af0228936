"""Embeddings by Llama shapes on a GPU: rows packed and padded, against a plain matrix product.

`embed.py` runs it. The shapes have random weights, made on the GPU; the rows are real ones.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from measuring import timed
from shapes import MODEL, SHAPES, build_encoder, product_flops, rows

from dataselect.compute import no_progress
from dataselect.data.shards import Featurizer
from dataselect.embed.hidden_states import PACKED_TOKENS, PADDED_TOKENS, hidden_states
from dataselect.models import packed
from dataselect.models.batches import Batches
from dataselect.models.chat import Encoded, load_chat
from dataselect.models.flops import forward_flops

#: As Llama 3.1 8B, but for its vocabulary.
SIZES = {
    "1B": SHAPES["1B"],
    "8B": dict(SHAPES["7B"], intermediate_size=14_336, num_key_value_heads=8),
}


class Case(NamedTuple):
    """How rows are read: packed or padded, tokens of a batch, and where the tokens come from.

    Attributes:
        compiled: whether torch compiles the model's blocks.
        ready: whether the tokens were made before; else a thread makes them meanwhile.
    """

    packed: bool
    tokens_per_batch: int
    ready: bool = True
    compiled: bool = True


CASES = [
    *(Case(True, tokens, compiled=False) for tokens in (16_384, PACKED_TOKENS, 65_536)),
    Case(False, PADDED_TOKENS, compiled=False),
    Case(True, PACKED_TOKENS),
    Case(True, PACKED_TOKENS, ready=False),
]


def shape_on_gpu(size: str, count: int) -> dict[str, Any]:
    """All cases of one shape in turn.

    Args:
        size: a key of `SIZES`.
        count: rows of the pool.
    """
    net = build_encoder(SIZES[size], torch.bfloat16)
    sample = rows(count)
    made = list(load_chat(MODEL).encode_by_length(sample))
    tokens = sum(len(row.ids) for _, block in made for row in block)
    peak, flops = product_flops(net.dtype), forward_flops(net, head=False) * tokens
    result = {
        "rows": count, "tokens": tokens, "parameters": sum(p.numel() for p in net.parameters()),
        "precision": str(net.dtype), "product_gflops": round(peak / 1e9, 1),
    }  # fmt: skip
    runs = []
    for case in CASES:
        run = _embed(net, case, sample, made)
        speed = flops / run["seconds"]
        runs.append({
            **run, "tokens_per_second": round(tokens / run["seconds"]),
            "gflops": round(speed / 1e9, 1), "share_of_the_product": round(speed / peak, 3),
        })  # fmt: skip
        print(size, runs[-1], flush=True)  # noqa: T201
    del net
    gc.collect()
    torch.cuda.empty_cache()
    return {**result, "runs": runs}


def _embed(
    net: Any, case: Case, sample: list[Any], made: list[tuple[np.ndarray, list[Encoded]]]
) -> dict[str, Any]:
    net.set_attn_implementation("sdpa")
    with ExitStack() as patches:
        for name, value in _patches(net, case, made).items():
            patches.enter_context(patch(name, value))
        featurizer = hidden_states().load(MODEL, [])
        run = {
            "rows_are": "packed" if case.packed else "padded",
            "attention": net.config._attn_implementation,
            "tokens_per_batch": case.tokens_per_batch,
            "compiled": case.compiled,
            "tokens_from": "before" if case.ready else "meanwhile",
        }
        _warm_up(featurizer, sample)
        torch.cuda.reset_peak_memory_stats()
        with timed(run):
            featurizer(sample, "pool", no_progress)
    return {**run, "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1)}


def _warm_up(featurizer: Featurizer, sample: list[Any], seconds: float = 0.5) -> None:
    """The first calls plan the GPU's kernels, and its clock rises."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        featurizer(sample[:64], "pool", no_progress)


def _patches(
    net: Any, case: Case, made: list[tuple[np.ndarray, list[Encoded]]]
) -> dict[str, Callable[..., Any]]:
    """What stands in for the stage's own choices."""
    few = [(np.arange(64), made[0][1][:64])]

    def batches(*_: Any, packed: bool = False, **__: Any) -> Batches:
        return Batches(case.tokens_per_batch, packed=packed)

    def read(_: Any, rows: list[Any], *__: Any) -> Iterator[tuple[np.ndarray, list[Encoded]]]:
        return iter(few if len(rows) <= 64 else made)

    has_kernel = packed.has_kernel if case.packed else lambda _: False
    found = {
        "dataselect.models.load.load_encoder": lambda _: net,
        "dataselect.models.batches.Batches.on": batches,
        "dataselect.models.packed.has_kernel": has_kernel,
    }
    if case.ready:
        found["dataselect.models.chat.Chat.encode_by_length"] = read
    if not case.compiled:
        found["dataselect.models.packed._compile_blocks"] = lambda *_: None
    return found
