"""Compares the estimate of training's memory with what torch's MemTracker counts.

    python benchmarks/memory.py [--small]

Llama shapes without numbers (fake tensors), so that 7 B needs no memory: two micro-batches of 1,024
tokens through the project's own Trainer, each with a step, as gradients and moments are then there.
On a processor's kernels; no GPU was measured.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from measuring import in_new_process, save_result
from shapes import SHAPES
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.mem_tracker import MemTracker

from dataselect.models.architecture import Architecture, from_config
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe
from dataselect.train.memory import Machine, needed
from dataselect.train.nets import computes_in_bfloat16
from dataselect.train.trainer import make_trainer

TOKENS = 1_024
VOCABULARY = 32_000
WAYS: dict[str, dict[str, Any]] = {
    "full, fp32": {},
    "full, fp32, checkpointing": {"gradient_checkpointing": True},
    "full, fp32 under bf16 autocast": {"dtype": "bfloat16"},
    "full, bf16": {"weights": "bfloat16"},
    "full, bf16, checkpointing": {"weights": "bfloat16", "gradient_checkpointing": True},
    "lora, bf16": {"method": "lora", "weights": "bfloat16"},
    "lora, bf16, checkpointing": {
        "method": "lora",
        "weights": "bfloat16",
        "gradient_checkpointing": True,
    },
}


def main() -> None:
    """Runs every way of training for every size, each in a process of its own."""
    small = "--small" in sys.argv
    results: dict[str, Any] = {}
    for size in ["tiny"] if small else SHAPES:
        for way in WAYS:
            run = in_new_process("memory", "compare", size=size, way=way)
            results.setdefault(size, {})[way] = run
            if not small:
                save_result("memory", results)


class Peak(MemTracker):
    """MemTracker without its figures of single modules, which take most of its time."""

    _pre_fw_hook = _post_fw_hook = _pre_bw_hook = _post_bw_hook = lambda *_: None


def compare(size: str, way: str) -> dict[str, Any]:
    """The estimate of one way of training, and what is counted, in bytes."""
    recipe = Recipe(batch_size=8, micro_batch_size=1, **WAYS[way])
    net, shape = make_net(SHAPES.get(size), recipe)
    computes = "bfloat16" if computes_in_bfloat16(recipe) else "float32"
    need = needed(shape, recipe, TOKENS, computes, Machine(None, False, 1))
    counted = count(net, recipe, TOKENS)
    return {
        "parameters": shape.parameters,
        "estimated": round(need.total),
        "counted": counted,
        "ratio": round(need.total / counted, 3),
    }


def make_net(sizes: dict[str, int] | None, recipe: Recipe) -> tuple[Any, Architecture]:
    """A Llama as a recipe trains it, whose weights have shapes only; its sizes.

    Args:
        sizes: of its configuration; None: a tiny one.
    """
    from transformers import AutoModelForCausalLM, LlamaConfig

    tiny: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3}
    tiny |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    chosen: dict[str, Any] = {**(sizes or tiny)}
    config = LlamaConfig(vocab_size=VOCABULARY if sizes else 2_048, **chosen)
    with torch.device("meta"):
        net = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, recipe.weights))
        shapes = {name: list(weight.shape) for name, weight in net.named_parameters()}
        shape = from_config(config.to_dict(), shapes)
        assert shape is not None
        return add_adapters(net, recipe), shape


def count(net: Any, recipe: Recipe, tokens: int) -> int:
    """The peak of memory of two micro-batches, each with a step, in bytes."""
    with FakeTensorMode(allow_non_fake_inputs=True), tempfile.TemporaryDirectory() as folder:
        _make_fake(net)
        net.to = lambda *_, **__: net  # fake tensors cannot be moved in place
        tokenizer = SimpleNamespace(pad_token="</s>")
        trainer: Any = make_trainer(net, tokenizer, [None] * 8, Path(folder), recipe, [])  # ty: ignore
        if recipe.gradient_checkpointing:
            net.activation_checkpointing_enable()
        net.train()
        trainer.create_optimizer()
        model, optimizer = trainer.accelerator.prepare(net, trainer.optimizer)
        ids = torch.zeros(1, tokens, dtype=torch.long)
        inputs = {"input_ids": ids, "labels": ids, "attention_mask": torch.ones_like(ids)}
        tracker = Peak()
        tracker.track_external(net, trainer.optimizer)
        with tracker:
            for _ in range(2):
                with trainer.compute_loss_context_manager():
                    label_count = torch.tensor(float(tokens))
                    loss = trainer.compute_loss(model, inputs, num_items_in_batch=label_count)
                loss.backward()
                del loss
                torch.nn.utils.clip_grad_norm_(net.parameters(), recipe.max_grad_norm)
                optimizer.step()
    return tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]


def _make_fake(net: Any) -> None:
    """Replaces all weights and buffers with fake tensors of the same shape and type."""
    for module in net.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                fake = torch.empty(weight.shape, dtype=weight.dtype)
                module._parameters[name] = torch.nn.Parameter(fake, weight.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


if __name__ == "__main__":
    main()
