"""Compares the estimate of the memory of training in shards with what torch's MemTracker counts.

    python benchmarks/sharded_memory.py

As memory.py, for one of eight processes that exist in name only (torch's "fake" group): nothing is
sent, and what is gathered is counted. On a processor's kernels; no GPU was measured.
"""

from __future__ import annotations

from typing import Any

import memory
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from dataselect import report
from dataselect.train.fit import Recipe
from dataselect.train.memory import Machine, needed
from dataselect.train.nets import computes_in_bfloat16

PROCESSES = 8
SIZES = ("1B", "7B")


def main() -> None:
    """Prints a line for every way of full training and every size."""
    for size in SIZES:
        for way in memory.WAYS:
            if way.startswith("full"):
                report.console.print(size, way, compare(size, way))


def compare(size: str, way: str) -> dict[str, Any]:
    """The estimate for one of several processes, and what is counted in it, in bytes."""
    recipe = Recipe(batch_size=16, micro_batch_size=1, sharding="full", **memory.WAYS[way])
    net, shape = memory.make_net(memory.SHAPES[size], recipe)
    computes = "bfloat16" if computes_in_bfloat16(recipe) else "float32"
    need = needed(shape, recipe, memory.TOKENS, computes, Machine(None, True, PROCESSES))
    counted = count(net, recipe, memory.TOKENS, in_bfloat16=computes == "bfloat16")
    return {"estimated": round(need.total), "counted": counted,
            "ratio": round(need.total / counted, 3)}  # fmt: skip


def count(net: Any, recipe: Recipe, tokens: int, *, in_bfloat16: bool) -> int:
    """The peak of memory of two micro-batches, each with a step, in bytes."""
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    distributed.init_process_group("fake", rank=0, world_size=PROCESSES, store=FakeStore())
    try:
        mesh = init_device_mesh("cpu", (PROCESSES,))
        with FakeTensorMode(allow_non_fake_inputs=True):
            memory._make_fake(net)
            _shard(net, mesh, in_bfloat16)
            if recipe.gradient_checkpointing:
                net.gradient_checkpointing_enable()
            net.train()
            optimizer = torch.optim.AdamW(net.parameters(), foreach=False)
            ids = torch.zeros(1, tokens, dtype=torch.long)
            tracker = memory.Peak()
            tracker.track_external(net, optimizer)
            with tracker:
                for _ in range(2):
                    with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
                        loss = net(input_ids=ids, labels=ids, use_cache=False).loss
                    loss.backward()
                    del loss
                    optimizer.step()
        return tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    finally:
        distributed.destroy_process_group()


def _shard(net: Any, mesh: Any, in_bfloat16: bool) -> None:
    """Shards a Llama as transformers does: each layer, the embedding, norm and head together."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    options: dict[str, Any] = {"mesh": mesh}
    if in_bfloat16:
        kinds: Any = {"param_dtype": torch.bfloat16, "reduce_dtype": torch.float32}
        options["mp_policy"] = MixedPrecisionPolicy(**kinds)
    for part in (net.model.embed_tokens, *net.model.layers):
        fully_shard(part, **options)
    fully_shard([net.model.norm, net.lm_head], reshard_after_forward=False, **options)
    fully_shard(net, **options)


if __name__ == "__main__":
    main()
