"""Length-sorted batches under a budget of padded tokens, which shrinks where memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dataselect import report
from dataselect.compute.memory import free_memory, is_out_of_memory
from dataselect.errors import InputError
from dataselect.models.chat import Encoded

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


class Batches:
    """Works through rows batch by batch; where memory runs out, on with batches half as large.

    Args:
        max_padded_tokens: the budget of a batch. What it shrinks to stays for the rows to come.
    """

    def __init__(self, max_padded_tokens: int) -> None:
        self.max_padded_tokens = max_padded_tokens

    @classmethod
    def on(cls, device: str, gpu: int, cpu: int = 1_024) -> Batches:
        """As large as keeps a GPU busy, or as the processor's caches like."""
        return cls(gpu if device == "cuda" else cpu)

    def run(self, lengths: list[int], work: Callable[[list[int]], None]) -> None:
        """Calls `work` with row numbers until all rows are done, each in one batch that went well.

        Raises:
            InputError: a single row is too much.
        """
        waiting = deque(batches(lengths, self.max_padded_tokens))
        while waiting:
            if not _try_batch(work, waiting[0]):
                waiting.popleft()
                continue
            # Beyond the handler, so that what the failed batch held is free by now.
            left = [row for batch in waiting for row in batch]
            self._shrink(waiting[0], lengths)
            again = batches([lengths[row] for row in left], self.max_padded_tokens)
            waiting = deque([left[place] for place in batch] for batch in again)

    def _shrink(self, batch: list[int], lengths: list[int]) -> None:
        longest = lengths[batch[0]]
        if len(batch) == 1:
            raise InputError(
                f"out of memory on a single row of {longest} tokens. Lower the `max_tokens` of the "
                "model that looks, set its `dtype: bfloat16`, or give the engine more `memory`."
            )
        self.max_padded_tokens = len(batch) * longest // 2
        report.console.print(
            f"out of memory: on with batches of at most {self.max_padded_tokens:,} padded tokens"
        )
        free_memory()


def _try_batch(work: Callable[[list[int]], None], batch: list[int]) -> bool:
    """Does the work; whether memory was not enough for it."""
    try:
        work(batch)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return True
    return False


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
