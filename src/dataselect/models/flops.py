"""FLOPs per token, counted from the parameters that a model multiplies with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def forward_flops(net: PreTrainedModel, head: bool) -> float:
    """FLOPs of a forward pass, per token: 2 for every parameter that is multiplied with.

    The input embedding is a table of vectors and is not multiplied with, unless it is the LM
    head's matrix too and the head is used. Attention's own products, which grow with the length,
    are left out, as in the published formulas.

    Args:
        head: whether the LM head is used.
    """
    return 2.0 * sum(parameter_size(parameter) for parameter in _multiplied(net, head))


def training_flops(net: PreTrainedModel, tokens: int) -> float:
    """FLOPs of training on `tokens` tokens: 6 for every parameter, 4 for a frozen one (LoRA)."""
    return tokens * sum(
        parameter_size(parameter) * (6.0 if parameter.requires_grad else 4.0)
        for parameter in _multiplied(net, head=True)
    )


def parameter_size(parameter: Any) -> int:
    """How many numbers a parameter stands for: bitsandbytes packs two of 4 bits into one."""
    packed = getattr(parameter, "quant_state", None)
    return parameter.numel() if packed is None else math.prod(packed.shape)


def _multiplied(net: PreTrainedModel, head: bool) -> list[Any]:
    """The parameters that a forward pass multiplies with."""
    embedding: Any = net.get_input_embeddings().weight
    output_layer: Any = net.get_output_embeddings()
    output = None if output_layer is None else output_layer.weight
    unused = [] if head and output is embedding else [embedding]
    if not head and output is not None:
        unused.append(output)
    return [p for p in net.parameters() if not any(p is other for other in unused)]
