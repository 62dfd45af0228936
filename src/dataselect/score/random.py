"""A random priority: the selection that every method has to beat."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dataselect.data.scores import Group, PoolInfo, Queries, Rows, SingleGroup
from dataselect.numerics.draws import random_scores
from dataselect.score import Prepared, RowScorer


def random(*, seed: int, per: Literal["pool", "source"] = "pool") -> RowScorer:
    """S[d] is a random number drawn from row d's id and the seed.

    A larger budget contains a smaller one.

    Args:
        seed: of the numbers; a row's depends on its id.
        per: one group, the whole pool; or one per source, from which a round-robin draws equal
            shares.

    Source: random and balanced random of arXiv 2503.01807.
    """

    def draw(rows: Rows) -> np.ndarray:
        return random_scores(rows.id, seed, "random")

    def prepare(pool: PoolInfo, queries: Queries | None) -> Prepared:
        if per == "pool":
            groups = [Group("pool", None)]
            return Prepared(groups, lambda rows: draw(rows)[:, None])
        number = {source: i for i, source in enumerate(pool.sources)}

        def score(rows: Rows) -> SingleGroup:
            groups = np.asarray([number[source] for source in rows.source])
            return SingleGroup(groups, draw(rows))

        return Prepared([Group(source, None) for source in pool.sources], score)

    return RowScorer((), prepare)
