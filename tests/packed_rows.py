"""Packed rows on a processor: what stands in for the kernel of a GPU."""

import torch

from dataselect.models import packed, packed_attention
from dataselect.models.batches import Batches


def row_by_row(q, k, v, starts, longest, scale, window):
    """As `packed_attention.flash`, with torch's own attention for every row."""
    rows = []
    for first, last in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        at = torch.arange(last - first, device=q.device)
        distance = at[:, None] - at
        seen = (distance >= 0) & (distance <= (longest if window < 0 else window))
        parts = (states[first:last].transpose(0, 1)[None] for states in (q, k, v))
        row = torch.nn.functional.scaled_dot_product_attention(
            *parts, attn_mask=seen, scale=scale, enable_gqa=True
        )
        rows.append(row[0].transpose(0, 1))
    return torch.cat(rows)


def pack_on_cpu(monkeypatch, tokens=None):
    """Packs rows as on a GPU; `tokens`: of a batch, packed or padded."""
    monkeypatch.setattr(packed, "has_kernel", lambda net: True)
    monkeypatch.setattr(packed_attention, "flash", row_by_row)
    monkeypatch.setattr(packed, "_compile_blocks", lambda *_: None)  # takes long on a processor
    if tokens:
        monkeypatch.setattr(
            Batches, "on", lambda *_, packed=False, **__: Batches(tokens, packed=packed)
        )
