"""Rows that the proxy learns alike: clusters of trajectories, and random order within them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Ge

from dataselect.data.scores import Group, Pool, Scores, SingleGroup, finite_rows
from dataselect.numerics.draws import derived_seed, random_scores, shuffled_rows
from dataselect.numerics.kmeans import kmeans
from dataselect.score import PoolScorer


def clusters(
    *, seed: int, count: Annotated[int, Ge(1)] = 100, iterations: Annotated[int, Ge(1)] = 20
) -> PoolScorer:
    """A column per cluster of a source's rows; S[d, its cluster] is a random priority.

    K-means of the trajectories (n, checkpoints) within each source. A group's `source` is the
    source that its cluster is a part of.

    Args:
        count: clusters per source; as many as rows, where there are fewer rows.
        iterations: of Lloyd's algorithm.

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd, which clusters only the sources that are
    larger than their share of the budget: the others' clusters are not used, here either.
    """

    def score(pool: Pool) -> Scores:
        ids, source_numbers, trajectories = _gather(pool)
        usable = finite_rows({"nll": trajectories}, ["nll"])
        columns: list[Group] = []
        cluster_of = np.zeros(len(ids), dtype=np.int64)
        by_source = np.argsort(source_numbers, kind="stable")
        sizes = np.bincount(source_numbers, minlength=len(pool.info.sources))
        rows_of_source = np.split(by_source, np.cumsum(sizes)[:-1])
        kmeans_seed = derived_seed(seed, "clusters of trajectories")
        for source, rows in zip(pool.info.sources, rows_of_source, strict=True):
            cluster_of[rows] = len(columns)
            measured = rows[usable[rows]]
            # In an order that does not depend on the pool's.
            measured_ids = [ids[row] for row in measured]
            measured = measured[shuffled_rows(measured_ids, seed, "rows that are clustered")]
            found = kmeans(trajectories[measured], count, kmeans_seed, iterations)
            cluster_of[measured] = len(columns) + found
            cluster_count = int(found.max()) + 1 if len(found) else 1
            columns += [Group(f"{source}/{k}", None, source) for k in range(cluster_count)]
        draws = random_scores(ids, seed, "order within clusters")
        scores = np.where(usable, draws, -np.inf).astype(np.float32)
        return Scores(columns, iter([SingleGroup(cluster_of, scores)]))

    return PoolScorer(("nll",), score)


def _gather(pool: Pool) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, numbers of their sources (n), and trajectories (n, checkpoints) of the whole pool."""
    number = {source: i for i, source in enumerate(pool.info.sources)}
    ids: list[str] = []
    sources, trajectories = [], []
    for rows in pool.blocks:
        ids += rows.id
        sources.append(np.asarray([number[source] for source in rows.source], dtype=np.int32))
        trajectories.append(rows.features["nll"])
    return ids, np.concatenate(sources), np.concatenate(trajectories)
