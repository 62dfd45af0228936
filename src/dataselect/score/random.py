"""A random priority: the selection that every method has to beat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from dataselect.data.scores import Block, Group, Pool, Scores, SingleGroup
from dataselect.numerics.draws import random_scores

APART = True


def random(pool: Pool, *, seed: int, per: Literal["pool", "source"] = "pool") -> Scores:
    """Every row gets a priority from its id and the seed, so a larger budget contains a smaller.

    Args:
        per: one group, the whole pool; or one a source, of which a round-robin draws equal shares.

    Source: random and balanced random of arXiv 2503.01807.
    """
    names = pool.sources if per == "source" else ["pool"]
    column = {name: number for number, name in enumerate(names)}

    def blocks() -> Iterator[Block]:
        for rows in pool.blocks:
            drawn = random_scores(rows.id, seed)
            if per == "pool":
                yield drawn[:, None]
            else:
                yield SingleGroup(np.asarray([column[source] for source in rows.source]), drawn)

    return Scores([Group(name, None) for name in names], blocks())
