"""Rotary positions that depend on the longest row of a batch: how rows are kept from that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def length_key(net: torch.nn.Module) -> Callable[[int], tuple[int, ...]]:
    """Rows whose lengths have the same key have the same positions, alone or in a batch together.

    Rotary positions of the type `longrope` are others for all rows of a batch whose longest row
    has more tokens than the model was first trained on; those of `dynamic` beyond the context are
    others for every length. Any other model has one key.

    Returns:
        Tokens of a row → key. Keys of sorted lengths are sorted.

    Source: transformers 5, `modeling_rope_utils.dynamic_rope_update`.
    """
    found = sorted({kind for module in net.modules() for kind in _changing(module)})
    return lambda length: tuple(
        max(length, limit) if dynamic else int(length > limit) for dynamic, limit in found
    )


def forget_lengths(net: torch.nn.Module) -> None:
    """Has every pass compute `dynamic` positions anew; else the longest row before decides them."""
    for module in net.modules():
        if any(dynamic for dynamic, _ in _changing(module)):
            module.register_forward_pre_hook(_reset)


def _changing(module: Any) -> Iterator[tuple[bool, int]]:
    """Whether positions are dynamic, or else longrope; and the length beyond which they change."""
    if not hasattr(module, "original_max_seq_len"):
        return
    kinds = getattr(module, "rope_type", None)
    for layers, kind in (kinds if isinstance(kinds, dict) else {None: kinds}).items():
        if kind == "longrope":
            settings = module.config.rope_parameters
            settings = settings if layers is None else settings[layers]
            yield False, int(settings["original_max_position_embeddings"])
        elif "dynamic" in str(kind):
            yield True, int(module.original_max_seq_len)


def _reset(module: Any, *_: Any) -> None:
    for name, buffer in list(module.named_buffers(recurse=False)):
        if name.endswith("original_inv_freq"):
            layers = name.removesuffix("original_inv_freq")
            setattr(module, f"{layers}inv_freq", buffer.clone())
            setattr(module, f"{layers}max_seq_len_cached", module.original_max_seq_len)
