"""How scores become a selection: one file an aggregator.

An aggregator is a function of the score matrix, its groups and a number of rows that returns
`Picks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from dataselect.data.scores import Block

#: The score matrix, to be read as often as it takes: every call starts its blocks anew.
Matrix = Callable[[], Iterable[Block]]


class Picks(NamedTuple):
    """The chosen rows in order of choice: row, the group that chose it, its score there (n)."""

    rows: np.ndarray
    groups: np.ndarray
    scores: np.ndarray
