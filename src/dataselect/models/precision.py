"""The types that a device computes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def torch_dtype(name: str) -> torch.dtype:
    """The dtype of a `dtype` setting.

    `auto` is bfloat16 on a GPU or processor that is faster in it, else float32.
    """
    import torch

    if name != "auto":
        return getattr(torch, name)
    on_gpu = torch.cuda.is_available()
    fast = multiplies_bfloat16() if on_gpu else _processor_is_faster_in_bfloat16()
    return torch.bfloat16 if fast else torch.float32


def _processor_is_faster_in_bfloat16() -> bool:
    """Whether the processor has instructions for products in bfloat16 (AVX512_BF16 or AMX).

    Any other gives the same numbers, but more slowly than in float32.
    """
    import torch

    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def multiplies_bfloat16() -> bool:
    """Whether the device computes in bfloat16: a processor always does, old GPUs emulate it."""
    import torch

    return not torch.cuda.is_available() or torch.cuda.is_bf16_supported(including_emulation=False)


def dtype_name(name: str) -> str:
    """A `dtype` setting, with the name of the type that `auto` is on this machine."""
    return str(torch_dtype(name)).removeprefix("torch.")
