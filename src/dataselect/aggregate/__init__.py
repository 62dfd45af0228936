"""How scores become a selection: a file per aggregator.

The file `aggregate/<name>.py` has a function `<name>`, which is an `Aggregator`: keyword-only
parameters, where it has any, are its settings in methods.yaml. It may also have the parameters
`quotas`, where it can choose within them (and so within a budget in tokens), and `weights`, where
its groups take turns. Without them, the plan refuses `mix.sources` and `mix.tasks` with it.

Where the file says `NEEDS_TASKS = True`, every group must have a task: the plan refuses scorers
without queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np

from dataselect.data.quotas import Quotas
from dataselect.data.scores import Block, Group

__all__ = ["Aggregator", "Picks", "Quotas", "ReadBlocks"]

#: S in blocks of rows, to be read as often as needed: every call starts at the first block.
ReadBlocks = Callable[[], Iterable[Block]]


class Picks(NamedTuple):
    """The chosen rows in order of choice.

    Attributes:
        rows: row numbers: int64, n.
        groups: the number of the group that chose each: int64, n.
        scores: its score in that group, or what it was chosen by: float32, n.
        used_up: how many turns of each group a row that was already chosen used up: int64, g;
            None where groups take no turns.
    """

    rows: np.ndarray
    groups: np.ndarray
    scores: np.ndarray
    used_up: np.ndarray | None = None


class Aggregator(Protocol):
    """(blocks of S, the groups, n) → the n chosen rows; fewer where there are fewer candidates.

    Of `quotas` (`Quotas | None`) and `weights` (float64, g; or None) it gets those that
    params.yaml asks for.
    """

    def __call__(
        self, read_blocks: ReadBlocks, groups: list[Group], n: int, /, **settings: Any
    ) -> Picks: ...
