"""Whether a model computes rows that stand one behind the other as it computes each alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

#: The most that a row's outputs may differ from those of the row alone, relative to the largest.
TOLERANCE = {"float32": 1e-4, "bfloat16": 5e-2, "float16": 5e-2}

#: Tokens of the rows that are packed. The last follows a row of another length.
LENGTHS = (5, 9, 7)


def short_rows(tokens: int) -> list[list[int]]:
    """Three short rows of token ids.

    Args:
        tokens: the size of the vocabulary.
    """
    return [[(11 + 37 * n + 3 * i) % tokens for i in range(t)] for n, t in enumerate(LENGTHS)]


def keeps_rows_apart(
    packed: Callable[[list[list[int]]], list[Tensor]],
    singles: list[Tensor],
    tokens: int,
    tolerance: float,
) -> bool:
    """Whether each of `short_rows` has its outputs packed too, whatever the others are.

    Args:
        packed: rows → the outputs of each (t …), computed together.
        singles: the outputs of each row alone.
        tokens: the size of the vocabulary.
        tolerance: how far they may differ, relative to the largest.
    """
    rows = short_rows(tokens)
    others = [[(17 + 5 * token) % tokens for token in row] for row in rows]
    for number, (row, single) in enumerate(zip(rows, singles, strict=True)):
        changed = [*others[:number], row, *others[number + 1 :]]
        for together in (rows, changed):
            gap = (packed(together)[number] - single).abs().max()
            if not gap <= tolerance * single.abs().max():
                return False
    return True
