"""Causal attention within each of some packed rows, as an attention of transformers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: As transformers knows it.
NAME = "dataselect_packed"

#: What a model may ask of its attention that the kernel does not have.
WITHOUT = ("softcap", "s_aux", "position_bias")


def register() -> None:
    """Makes the attention known to transformers.

    It gets no mask: with a name that has none, transformers makes none, and does not ask the GPU
    whether the positions are those of packed rows.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    varlen_options()  # not while a model is compiled


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    cu_seq_lens_q: Tensor,
    max_length_q: int,
    scaling: float | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention of every token to those before it in its row.

    Args:
        query: 1 h t d.
        key: 1 k t d, where k divides h (grouped queries).
        value: as `key`.
        cu_seq_lens_q: where each row begins, and where the last one ends (int32).
        max_length_q: tokens of the longest row.
        sliding_window: how many tokens, with itself, a token attends to; None: all before it.

    Returns:
        1 t h d, and no weights.

    Raises:
        ValueError: the model asks for what the kernel does not have.
    """
    import torch

    # A model is tried before it is compiled, and once for all layers, which must be alike for that.
    if not torch.compiler.is_compiling():
        _check_window(module, sliding_window)
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is not None or not causal:
        raise ValueError("a mask, or attention to later tokens")
    if wanted := [name for name in WITHOUT if options.get(name) is not None]:
        raise ValueError(f"attention with {wanted[0]}")
    q, k, v = (states[0].transpose(0, 1) for states in (query, key, value))  # t h d
    window = -1 if sliding_window is None else sliding_window - 1
    return flash(q, k, v, cu_seq_lens_q, max_length_q, scaling, window)[None], None


def _check_window(module: torch.nn.Module, given: int | None) -> None:
    """Checks that an attention is given the window of its model's configuration.

    Some models have it in their masks alone, of which this attention gets none; the rows that a
    model is tried on are too short to show it.

    Raises:
        ValueError: it is not.
    """
    config = getattr(module, "config", None)
    kinds = dict(enumerate(getattr(config, "layer_types", None) or ()))
    full = kinds.get(getattr(module, "layer_idx", None)) == "full_attention"
    window = None if full else getattr(config, "sliding_window", None)
    if getattr(config, "attention_chunk_size", None) or (window and given is None):
        raise ValueError("a window that masks alone have")


def flash(
    q: Tensor, k: Tensor, v: Tensor, starts: Tensor, longest: int, scale: float | None, window: int
) -> Tensor:
    """The GPU's kernel: t h d.

    Args:
        q: t h d; `k` and `v`: t k d.
        starts: as `cu_seq_lens_q`.
        longest: as `max_length_q`.
        scale: of the products; None: 1 / √d.
        window: how many earlier tokens a token attends to; -1: all.
    """
    from torch.nn.attention import varlen

    compute: Any = varlen.varlen_attn
    return compute(
        q, k, v, starts, starts, longest, longest, scale=scale, window_size=(window, 0),
        **varlen_options(),
    )  # fmt: skip


@cache
def varlen_options() -> dict[str, Any]:
    """torch 2.11 takes fewer heads of keys than of queries as they are; later ones want a word."""
    import inspect

    from torch.nn.attention.varlen import varlen_attn

    known = inspect.signature(varlen_attn).parameters
    return {"enable_gqa": True} if "enable_gqa" in known else {}
