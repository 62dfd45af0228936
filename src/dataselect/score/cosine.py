"""How similar a row is to the queries: the cosine of their vectors."""

from __future__ import annotations

from typing import Literal

import numpy as np

from dataselect.data.scores import Group, PoolInfo, Queries, Rows
from dataselect.errors import InputError, first_few
from dataselect.numerics.half import to_float32
from dataselect.score import Prepared, RowScorer

MIN_LENGTH = 1e-12  # no meaningful vector is shorter


def cosine(*, groups: Literal["auto", "queries", "tasks"]) -> RowScorer:
    """S[d, v] is the cosine of row d and query v; S[d, t] its maximum over the queries of task t.

    Args:
        groups: a column per query or per task; `auto`: per query of a single task, per task where
            there are several.

    Source: arXiv 2503.01807, for single tasks and for several.
    """

    def prepare(pool: PoolInfo, queries: Queries | None) -> Prepared:
        assert queries is not None  # it uses queries
        tasks = list(dict.fromkeys(queries.task))
        vectors = unit(queries.features["vectors"])
        _check_queries(queries, vectors)
        starts = None
        if groups == "queries" or (groups == "auto" and len(tasks) == 1):
            columns = [Group(*pair) for pair in zip(queries.id, queries.task, strict=True)]
        else:
            # Queries of a task side by side: their maximum is then found without a copy.
            order = np.argsort([tasks.index(task) for task in queries.task], kind="stable")
            ends = np.cumsum([queries.task.count(task) for task in tasks]).tolist()
            vectors, starts = vectors[order], [0, *ends[:-1]]
            columns = [Group(task, task) for task in tasks]
        return Prepared(columns, lambda rows: _scores(rows, vectors, starts))

    return RowScorer(("vectors",), prepare, uses_queries=True)


def _scores(rows: Rows, queries: np.ndarray, starts: list[int] | None) -> np.ndarray:
    """The cosines of a block's rows (b g).

    Args:
        queries: their vectors of length 1 (m d, float32).
        starts: the first query of each task; None: a column per query.
    """
    vectors = to_float32(rows.features["vectors"])
    length = np.sqrt(np.einsum("bd,bd->b", vectors, vectors))
    block = vectors @ queries.T  # b d @ d m
    if starts is not None:
        block = np.maximum.reduceat(block, starts, axis=1)
    block /= length[:, None].clip(min=MIN_LENGTH)
    block[length == 0] = -np.inf  # a row without a single token to pool
    block[np.isnan(block)] = -np.inf  # a row that overflows the model
    return block


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales rows (b d) to length 1, in float32; zeros stay zeros."""
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=MIN_LENGTH)


def _check_queries(queries: Queries, vectors: np.ndarray) -> None:
    if len(empty := np.flatnonzero(~vectors.any(axis=1))):
        names = first_few(queries.id[i] for i in empty)
        raise InputError(
            f"queries.path: {len(empty)} queries have none of the tokens that this method pools: "
            f"{names}. Add their answers, raise `model.max_tokens` if it truncates them, remove "
            "them, or choose another method."
        )
