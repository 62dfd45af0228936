"""Length-sorted batches under a budget of padded tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dataselect.chat import Encoded

if TYPE_CHECKING:
    from torch import Tensor


def batches(lengths: list[int], max_padded_tokens: int) -> list[list[int]]:
    """Groups rows of like length so that no batch, padded, is larger than the budget.

    Longest first, so that memory runs out at once or never. A row longer than the budget is a
    batch of its own.

    Returns:
        Row numbers, batch by batch; every row exactly once.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    answer: list[list[int]] = []
    for row in order:
        # The first row of a batch is its longest: the width that the others are padded to.
        if answer and (len(answer[-1]) + 1) * lengths[answer[-1][0]] <= max_padded_tokens:
            answer[-1].append(row)
        else:
            answer.append([row])
    return answer


def pad(rows: list[Encoded], device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Pads on the right.

    Returns:
        ids (int64, b t; 0 where padded), response (bool, b t), real (bool, b t).
    """
    import torch

    width = max(len(row.ids) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    response = np.zeros((len(rows), width), dtype=bool)
    real = np.zeros((len(rows), width), dtype=bool)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = row.ids
        response[number, : len(row.ids)] = row.response
        real[number, : len(row.ids)] = True
    ids_, response_, real_ = (torch.from_numpy(a).to(device) for a in (ids, response, real))
    return ids_, response_, real_
