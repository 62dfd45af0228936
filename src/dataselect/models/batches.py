"""Length-sorted batches within a budget of tokens, which shrinks where memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect import report
from dataselect.compute.memory import free_memory, is_out_of_memory
from dataselect.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dataselect.data.tables import Message
    from dataselect.models.chat import Encoded


#: Length of a row → what the lengths of a batch's rows have in common.
Key = Callable[[int], Any]


def one_key(length: int) -> None:
    """The `Key` with which rows of any lengths may be in a batch together."""


def batches(
    lengths: list[int], max_padded_tokens: int, *, packed: bool = False, key: Key = one_key
) -> list[list[int]]:
    """Groups rows of like length so that no batch, padded, is larger than the budget.

    Longest first, so that memory runs out at once or never. A row longer than the budget is a
    batch of its own.

    Args:
        packed: rows are not padded.
        key: rows are in a batch only with rows of the same key. Those of sorted lengths are sorted.

    Returns:
        Row numbers, batch by batch; every row exactly once.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    groups: list[list[int]] = []
    size = 0  # of the last group
    for row in order:
        # The first row of a batch is its longest: the width that the others are padded to.
        added = lengths[row] if packed or not groups else lengths[groups[-1][0]]
        fits = size + added <= max_padded_tokens
        if groups and fits and key(lengths[row]) == key(lengths[groups[-1][0]]):
            groups[-1].append(row)
            size += added
        else:
            groups.append([row])
            size = lengths[row]
    return groups


def blocks_by_length(rows: list[list[Message]], size: int) -> Iterator[np.ndarray]:
    """The numbers (int64) of rows of like length, in characters, block by block, longest first."""
    lengths = np.asarray([sum(len(turn["content"]) for turn in row) for row in rows])
    order = np.argsort(-lengths, kind="stable")
    return (order[start : start + size] for start in range(0, len(rows), size))


def filled(
    blocks: Iterable[tuple[np.ndarray, list[Encoded]]], max_tokens: int
) -> Iterator[tuple[np.ndarray, list[Encoded]]]:
    """Blocks of numbered rows, grouped anew so that each has about as many tokens as the budget.

    Args:
        max_tokens: the most of a group, but for a group of one row.
    """
    numbers: list[int] = []
    rows: list[Encoded] = []
    tokens = 0
    for block, encoded in blocks:
        for number, row in zip(block.tolist(), encoded, strict=True):
            if rows and tokens + len(row.ids) > max_tokens:
                yield np.asarray(numbers), rows
                numbers, rows, tokens = [], [], 0
            numbers.append(number)
            rows.append(row)
            tokens += len(row.ids)
    if rows:
        yield np.asarray(numbers), rows


class Batches:
    """Works through rows batch by batch; continues with smaller batches where memory runs out.

    Args:
        max_padded_tokens: the budget of a batch. Once it shrinks it stays so for later rows.
        packed: rows are not padded.
    """

    def __init__(self, max_padded_tokens: int, *, packed: bool = False) -> None:
        self.max_padded_tokens, self.packed = max_padded_tokens, packed

    @classmethod
    def on(cls, device: str, gpu: int, cpu: int = 1_024, *, packed: bool = False) -> Batches:
        """The budget `gpu`, which keeps a GPU busy, or `cpu`, which suits a processor's caches."""
        return cls(gpu if device == "cuda" else cpu, packed=packed)

    def run(
        self, lengths: list[int], work: Callable[[list[int]], None], key: Key = one_key
    ) -> None:
        """Calls `work` with the row numbers of one batch after another, until all rows are done.

        A batch that runs out of memory is given again in smaller batches: what `work` did for it
        is done anew.

        Args:
            lengths: tokens of every row.
            key: see `batches`.

        Raises:
            InputError: memory does not suffice for a single row.
        """
        group = partial(batches, packed=self.packed, key=key)
        pending = deque(group(lengths, self.max_padded_tokens))
        while pending:
            if _try_batch(work, pending[0]):
                pending.popleft()
                continue
            # After the handler, so that what the failed batch held is free by now.
            remaining = [row for batch in pending for row in batch]
            self._shrink(pending[0], lengths)
            lengths_left = [lengths[row] for row in remaining]
            smaller = group(lengths_left, self.max_padded_tokens)
            pending = deque([remaining[i] for i in batch] for batch in smaller)

    def _shrink(self, batch: list[int], lengths: list[int]) -> None:
        longest = lengths[batch[0]]
        if len(batch) == 1:
            raise InputError(
                f"out of memory on a single row of {longest} tokens. Lower the model's "
                "`max_tokens` (the selector model's, while embedding), set its `dtype: bfloat16`, "
                "or give the engine more `memory`."
            )
        tokens = sum(lengths[row] for row in batch) if self.packed else len(batch) * longest
        self.max_padded_tokens = tokens // 2
        report.console.print(
            "out of memory: continuing with batches of at most "
            f"{self.max_padded_tokens:,} {'' if self.packed else 'padded '}tokens"
        )
        free_memory()


def _try_batch(work: Callable[[list[int]], None], batch: list[int]) -> bool:
    """Calls `work`; False where memory ran out."""
    try:
        work(batch)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def pad(rows: list[Encoded], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """Pads rows on the right.

    Returns:
        ids (int64, b t; 0 where padded), response (bool, b t), real (bool, b t).
    """
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ids = pad_sequence([torch.from_numpy(row.ids) for row in rows], batch_first=True)
    response = pad_sequence([torch.from_numpy(row.response) for row in rows], batch_first=True)
    lengths = torch.tensor([len(row.ids) for row in rows])
    real = torch.arange(ids.shape[1]) < lengths[:, None]
    return ids.to(device, torch.int64), response.to(device), real.to(device)
