"""…"""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel


def forward_flops(net: PreTrainedModel, head: bool) -> float:
    """FLOPs of a forward pass, per token: 2 a parameter that is multiplied with.

    The input embedding is looked up, not multiplied with, unless it is the LM head's too and the
    head is used. Attention's own products, which grow with the length, are left out, as in the
    published formulas.
    """
    return 2.0 * sum(p.numel() for p in _multiplied(net, head))


def training_flops(net: PreTrainedModel, tokens: int) -> float:
    """FLOPs of training on so many tokens: 6 a parameter; 4 one that is frozen (LoRA)."""
    return tokens * sum(p.numel() * (6.0 if p.requires_grad else 4.0) for p in _multiplied(net))


def _multiplied(net: PreTrainedModel, head: bool = True) -> list[Any]:
    """The parameters that a forward pass multiplies with."""
    table: Any = net.get_input_embeddings().weight
    out: Any = net.get_output_embeddings()
    last = None if out is None else out.weight
    idle = [] if head and last is table else [table]
    if not head and last is not None:
        idle.append(last)
    return [p for p in net.parameters() if not any(p is one for one in idle)]
