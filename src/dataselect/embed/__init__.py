"""What is measured of every row: one file a kind of feature.

A feature is a function of its settings that loads what it needs and returns a `Compute`. What it
takes before the settings says what it looks with: `model` (the plan's section of the model that
looks), and `checkpoints`, if it looks with all that the reference stage fitted (`references`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np


class Advance(Protocol):
    """Is told of every few rows done: how many, their real tokens, and the FLOPs they took."""

    def __call__(self, rows: int, tokens: int = 0, flops: float = 0.0, /) -> None: ...


#: (conversations: lists of role and content; "pool" or "queries"; who is told of what is done) →
#: arrays by name, each with one entry a row. No row's values may depend on the other rows. Where
#: a row has nothing to be measured, or the model overflows, a number is NaN or infinite.
Compute = Callable[[list[list[dict[str, str]]], str, Advance], dict[str, np.ndarray]]
