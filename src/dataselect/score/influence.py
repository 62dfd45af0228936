"""How far a step on a row would lower the loss of the queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Pool, Queries, Scores

APART = True


def needs(**settings: object) -> tuple[str, ...]:
    """The arrays that are looked at."""
    return ("gradients",)


def influence(
    pool: Pool, queries: Queries, *, groups: Literal["auto", "queries", "tasks"]
) -> Scores:
    """S[d, v] = Σ over checkpoints of weight · cosine of the gradients of row d and query v.

    S[d, t] is the maximum over the subtasks of task t of the mean over the subtask's queries; a
    task without subtasks is one.

    Args:
        groups: a column a query; or a task, which `auto` means too.

    Source: arXiv 2402.04333, princeton-nlp/LESS@8abf962.
    """
    found = queries.features["gradients"].astype(np.float32)
    weight = queries.features["weight"]
    # Σ over checkpoints of weight · cosine is one inner product of the rows laid end to end.
    sides = (found * weight[:, :, None]).reshape(len(found), -1)
    if groups == "queries":
        columns = [Group(*pair) for pair in zip(queries.id, queries.task, strict=True)]
        of_task = [[np.asarray([i])] for i in range(len(found))]
    else:
        tasks = list(dict.fromkeys(queries.task))
        columns = [Group(task, task) for task in tasks]
        of_task = [_subtasks(queries, task) for task in tasks]

    def blocks() -> Iterator[np.ndarray]:
        for rows in pool.blocks:
            mine = rows.features["gradients"]
            block = mine.reshape(len(mine), -1).astype(np.float32) @ sides.T  # b ck @ ck m
            scores = [
                np.max([block[:, of].mean(axis=1) for of in subtasks], axis=0)
                for subtasks in of_task
            ]
            yield np.stack(scores, axis=1)

    return Scores(columns, blocks())


def _subtasks(queries: Queries, task: str) -> list[np.ndarray]:
    """The queries of each of a task's subtasks."""
    names = queries.subtask or [None] * len(queries.task)
    mine = [i for i, of in enumerate(queries.task) if of == task]
    there = dict.fromkeys(names[i] for i in mine)
    return [np.asarray([i for i in mine if names[i] == one]) for one in there]
