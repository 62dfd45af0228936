"""Rows one behind the other in a batch without padding, for models that only read."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect import report
from dataselect.data import files
from dataselect.models.packed_attention import NAME, register
from dataselect.models.rows_apart import TOLERANCE, keeps_rows_apart, short_rows

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

#: What a kernel or the compiler may fail with.
FAILURES = (TypeError, ValueError, RuntimeError, KeyError, OSError)


class Packed:
    """A model that reads packed rows: see `packed`."""

    def __init__(self, net: PreTrainedModel) -> None:
        self.net, self.device = net, net.device

    def __call__(self, rows: list[np.ndarray], **options: Any) -> Any:
        """The model's output for rows of token ids, one behind the other: its batch has one row.

        Nothing here waits for the GPU.
        """
        return self.net(**packed_inputs(rows, self.device), use_cache=False, **options)


def packed_inputs(rows: list[np.ndarray], device: torch.device) -> dict[str, Any]:
    """Token ids and positions (int64, 1 t), and where rows begin (int32, rows + 1)."""
    lengths = [len(row) for row in rows]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    positions = np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)
    begin = to_device(starts.astype(np.int32), device)
    longest = max(lengths)
    return {
        "input_ids": to_device(np.concatenate(rows).astype(np.int64), device)[None],
        "position_ids": to_device(positions, device)[None],
        "cu_seq_lens_q": begin,
        "cu_seq_lens_k": begin,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """The array on a device; a GPU copies it while the processor goes on."""
    import torch

    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def segment_sums(values: Tensor, lengths: Tensor) -> Tensor:
    """Sums of values (t …) over rows of some lengths, which follow each other: b …"""
    import torch

    # It adds up in a fixed order, as index_add does not on a GPU.
    sums: Any = getattr(torch, "segment_reduce")  # noqa: B009  (torch's types lack it)
    return sums(values, "sum", lengths=lengths, unsafe=True)


def packed(net: PreTrainedModel, *, compiled: bool = False) -> Packed | None:
    """The model as one that reads packed rows; None where padded batches are what it needs.

    That is on a processor, in float32 (flash attention has no kernel for it), where a model lies
    on several devices, and where it does not keep packed rows apart, which is tried on three short
    rows. The model's attention is another one from here on.

    Args:
        compiled: has torch compile the blocks, which takes some 10 seconds; where that fails, the
            run says so and goes on without.
    """
    if not has_kernel(net):
        return None
    before = net.config._attn_implementation
    register()
    singles = _single_rows(net)
    net.set_attn_implementation(NAME)
    if _keeps_rows_apart(net, singles):
        if compiled:
            _compile_blocks(net, singles)
        return Packed(net)
    net.set_attn_implementation(before)
    report.console.print(
        f"{net.config.model_type}: rows are padded, as its attention has no kernel for packed ones"
    )
    return None


def has_kernel(net: PreTrainedModel) -> bool:
    """Whether flash attention over packed rows may work for this model on its device."""
    import torch

    devices = {parameter.device for parameter in net.parameters()}
    return (
        len(devices) == 1
        and net.device.type == "cuda"
        and net.dtype in (torch.bfloat16, torch.float16)
        and torch.cuda.get_device_capability(net.device)[0] >= 8
    )


def _single_rows(net: PreTrainedModel) -> list[Tensor]:
    """The outputs of each of `short_rows` alone, with the model's own attention (t …)."""
    import torch

    with torch.inference_mode():
        rows = [torch.tensor([row], device=net.device) for row in short_rows(_vocabulary(net))]
        return [net(input_ids=row, use_cache=False)[0][0].float() for row in rows]


def _vocabulary(net: PreTrainedModel) -> int:
    embedding: Any = net.get_input_embeddings()
    return embedding.num_embeddings


def _keeps_rows_apart(net: PreTrainedModel, singles: list[Tensor]) -> bool:
    import torch

    tolerance = TOLERANCE[str(net.dtype).removeprefix("torch.")]

    def together(rows: list[list[int]]) -> list[Tensor]:
        states = Packed(net)([np.asarray(row, dtype=np.int32) for row in rows])[0][0]
        return list(states.float().split([len(row) for row in rows]))

    # Whatever goes wrong: the padded batches need nothing of this.
    with torch.inference_mode(), suppress(*FAILURES):
        return keeps_rows_apart(together, singles, _vocabulary(net), tolerance)
    return False


def _compile_blocks(net: PreTrainedModel, singles: list[Tensor]) -> None:
    """Has torch compile the blocks of a model, which are alike: one for all.

    Not where there is no compiler, or where the model's outputs are others then.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(files.scratch_folder() / "compiled"))
    blocks = [part for part in net.modules() if isinstance(part, GradientCheckpointingLayer)]
    for block in blocks:
        block.compile(dynamic=True)
    if _keeps_rows_apart(net, singles):
        return
    for block in blocks:
        block._compiled_call_impl = None
    report.console.print(f"{net.config.model_type}: not compiled, as torch.compile failed here")
