"""The order in which training reads its rows, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dataselect.numerics.draws import derived_seed

if TYPE_CHECKING:
    import numpy as np

#: The number of an epoch → its rows in order.
Order = Callable[[int], Iterable[int]]


def random_order(rows: Any, seed: int) -> Order:
    """The number of an epoch → its rows in random order."""
    from accelerate.data_loader import SeedableRandomSampler

    sampler = SeedableRandomSampler(rows, data_seed=seed)

    def order(epoch: int) -> Iterable[int]:
        sampler.set_epoch(epoch)
        return sampler

    return order


def order_by_length(lengths: np.ndarray, batch_size: int, seed: int) -> Order:
    """The number of an epoch → its rows: random, but rows of like length beside each other.

    It does not depend on how many epochs came before: a run that resumes has the same.

    Args:
        lengths: the tokens of each row (int64, n).
        batch_size: rows of a step.
        seed: with the epoch, of the order.

    Source: transformers' `LengthGroupedSampler`, which sorts 50 batches at a time, the longest row
    first; there the order is drawn from the state that torch happens to be in.
    """

    def order(epoch: int) -> Iterable[int]:
        import torch
        from transformers.trainer_pt_utils import LengthGroupedSampler

        generator = torch.Generator().manual_seed(derived_seed(seed, f"epoch {epoch}"))
        sampler: Any = LengthGroupedSampler  # which takes any sequence as `lengths`
        return sampler(batch_size, lengths=lengths, generator=generator)

    return order


class FilledOrder:
    """The order of an epoch's rows for several processes, filled up to whole micro-batches.

    By default accelerate fills up with rows from the front, which would then count twice.

    Args:
        row_count: rows of the dataset.
        order: the number of an epoch → its rows in order.
        rows_together: rows that all processes take at once.
        epoch: () → the number of the current epoch.
    """

    def __init__(
        self,
        row_count: int,
        order: Order,
        rows_together: int,
        epoch: Callable[[], int],
    ) -> None:
        self.row_count, self.order = row_count, order
        self.rows_together, self.epoch = rows_together, epoch

    def __iter__(self) -> Iterator[int]:
        # Read the epoch here: when a run resumes mid-epoch, accelerate wraps this so deep that
        # Trainer's `set_epoch` never reaches it.
        yield from self.order(self.epoch())
        yield from range(self.row_count, len(self))

    def __len__(self) -> int:
        return -(-self.row_count // self.rows_together) * self.rows_together
