"""How like a row is to the queries: the cosine of their vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from dataselect.data.scores import Group, Pool, Queries, Scores
from dataselect.errors import InputError, first_few

APART = True
TINY = 1e-12  # no vector that means anything is shorter


def needs(**settings: object) -> tuple[str, ...]:
    """The arrays that are looked at."""
    return ("vectors",)


def cosine(pool: Pool, queries: Queries, *, groups: Literal["auto", "queries", "tasks"]) -> Scores:
    """S[d, v] is the cosine of row d and query v; S[d, t] its maximum over the queries of task t.

    Args:
        groups: a column a query or a task; `auto` takes the queries of a single task, and the
            tasks where there are several.

    Source: arXiv 2503.01807, for single tasks and for several.
    """
    tasks = list(dict.fromkeys(queries.task))
    by_query = groups == "queries" or (groups == "auto" and len(tasks) == 1)
    vectors = unit(queries.features["vectors"])
    if len(empty := np.flatnonzero(~vectors.any(axis=1))):
        names = first_few(queries.id[i] for i in empty)
        raise InputError(
            f"queries.path: {len(empty)} queries have none of the tokens that this method looks "
            f"at: {names}. Give them an answer, raise `model.max_tokens` if it cuts them, leave "
            "them out, or choose another method."
        )
    if by_query:
        columns = [Group(*pair) for pair in zip(queries.id, queries.task, strict=True)]
    else:
        columns = [Group(task, task) for task in tasks]
    # Queries of a task side by side: the largest of them is then found without a copy.
    order = np.argsort([tasks.index(task) for task in queries.task], kind="stable")
    ends = np.cumsum([queries.task.count(task) for task in tasks])
    of_task = [
        slice(end - queries.task.count(task), end) for task, end in zip(tasks, ends, strict=True)
    ]
    vectors = vectors if by_query else vectors[order]

    def blocks() -> Iterator[np.ndarray]:
        for rows in pool.blocks:
            pooled = rows.features["vectors"].astype(np.float32)
            length = np.sqrt(np.einsum("bd,bd->b", pooled, pooled))
            block = pooled @ vectors.T  # b d @ d m
            if not by_query:
                block = np.stack([block[:, of].max(axis=1) for of in of_task], axis=1)
            block /= length[:, None].clip(min=TINY)
            block[length == 0] = -np.inf  # nothing of it was looked at
            block[np.isnan(block)] = -np.inf  # a model that overflows says nothing of a row
            yield block

    return Scores(columns, blocks())


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales rows (b d) to length 1, in float32; zeros stay zeros."""
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=TINY)
