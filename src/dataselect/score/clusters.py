"""Rows that the proxy learns alike: clusters of trajectories, and chance within them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from annotated_types import Ge

from dataselect.data.scores import Block, Group, Pool, Scores, SingleGroup, finite_rows
from dataselect.numerics.draws import random_scores, shuffled_rows
from dataselect.numerics.kmeans import kmeans


def needs(**settings: object) -> tuple[str, ...]:
    """The arrays that are looked at."""
    return ("nll",)


def clusters(
    pool: Pool,
    *,
    seed: int,
    count: Annotated[int, Ge(1)] = 100,
    iterations: Annotated[int, Ge(1)] = 20,
) -> Scores:
    """A column a cluster of a source's rows; S[d, its cluster] is a random priority.

    K-means of the trajectories (n c) within each source. Its groups have their source as parent.

    Args:
        count: clusters a source; as many as rows, where there are fewer rows.

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd, which clusters only the sources that are
    larger than their share of the budget: the others' clusters are not used, here either.
    """

    def blocks() -> Iterator[Block]:
        yield block

    ids, source_of, trajectories = _gather(pool)
    usable = finite_rows({"nll": trajectories}, ["nll"])
    columns: list[Group] = []
    of = np.zeros(len(ids), dtype=np.int64)
    by_source = np.argsort(source_of, kind="stable")
    ends = np.searchsorted(source_of[by_source], np.arange(len(pool.sources) + 1))
    for number, source in enumerate(pool.sources):
        mine = by_source[ends[number] : ends[number + 1]]
        there = mine[usable[mine]]
        there = there[
            shuffled_rows([ids[i] for i in there], seed)
        ]  # an order that is not the pool's
        found = kmeans(trajectories[there], count, seed, iterations)
        of[mine] = len(columns)
        of[there] = len(columns) + found
        many = int(found.max()) + 1 if len(found) else 1
        columns += [Group(f"{source}/{cluster}", None, source) for cluster in range(many)]
    scores = np.where(usable, random_scores(ids, seed), -np.inf).astype(np.float32)
    block = SingleGroup(of, scores)
    return Scores(columns, blocks())


def _gather(pool: Pool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, numbers of their sources (n), and trajectories (n c) of the whole pool."""
    number = {name: i for i, name in enumerate(pool.sources)}
    ids: list[str] = []
    sources, parts = [], []
    for rows in pool.blocks:
        ids += rows.id
        sources.append(np.asarray([number[name] for name in rows.source], dtype=np.int32))
        parts.append(rows.features["nll"])
    return ids, np.concatenate(sources), np.concatenate(parts)
