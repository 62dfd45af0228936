"""How far a training step on a row would lower the loss of the queries."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dataselect.data.scores import Group, PoolInfo, Queries, Rows
from dataselect.numerics.half import to_float32
from dataselect.score import Prepared, RowScorer


def influence(*, groups: Literal["auto", "queries", "tasks"]) -> RowScorer:
    """S[d, v] = Σ over checkpoints of weight · cosine of the gradients of row d and query v.

    S[d, t] is the maximum over the subtasks of task t of the mean over the subtask's queries; a
    task without subtasks is a single one.

    Args:
        groups: a column per query; or per task, which `auto` means too.

    Source: arXiv 2402.04333, princeton-nlp/LESS@8abf962.
    """

    def prepare(pool: PoolInfo, queries: Queries | None) -> Prepared:
        assert queries is not None  # it uses queries
        gradients = queries.features["gradients"].astype(np.float32)  # m c k
        weight = queries.features["weight"]
        # Σ over checkpoints of weight · cosine is one inner product of the rows laid end to end.
        weighted = (gradients * weight[:, :, None]).reshape(len(gradients), -1)  # m, c · k

        def products(rows: Rows) -> np.ndarray:
            block = rows.features["gradients"]
            return to_float32(block.reshape(len(block), -1)) @ weighted.T  # b m

        if groups == "queries":
            columns = [Group(*pair) for pair in zip(queries.id, queries.task, strict=True)]
            return Prepared(columns, products)
        tasks = list(dict.fromkeys(queries.task))
        subtasks = [_subtasks(queries, task) for task in tasks]

        def score(rows: Rows) -> np.ndarray:
            block = products(rows)
            scores = [
                np.max([block[:, members].mean(axis=1) for members in column], axis=0)
                for column in subtasks
            ]
            return np.stack(scores, axis=1)

        return Prepared([Group(task, task) for task in tasks], score)

    return RowScorer(("gradients",), prepare, uses_queries=True)


def _subtasks(queries: Queries, task: str) -> list[np.ndarray]:
    """The numbers of the queries of each of a task's subtasks."""
    names = queries.subtask or [None] * len(queries.task)
    members: dict[str | None, list[int]] = {}
    for query, (query_task, name) in enumerate(zip(queries.task, names, strict=True)):
        if query_task == task:
            members.setdefault(name, []).append(query)
    return [np.asarray(numbers) for numbers in members.values()]
