"""Rows that the proxy learns alike: clusters of trajectories, and random order within them."""

from __future__ import annotations

import numpy as np

from dataselect import report
from dataselect.data.scores import Group, Pool, Scores, SingleGroup, finite_rows
from dataselect.numerics.draws import derived_seed, random_scores, shuffled_rows
from dataselect.numerics.kmeans import kmeans
from dataselect.score import PoolScorer
from dataselect.settings import PositiveInt

#: The trajectories: in blocks, joined; and of the largest source, as k-means takes and centres it.
COPIES = 6


def clusters(
    *,
    seed: int,
    count: PositiveInt = 100,
    rows_per_cluster: PositiveInt = 10,
    iterations: PositiveInt = 20,
) -> PoolScorer:
    """A column per cluster of a source's rows; S[d, its cluster] is a random priority.

    K-means of the trajectories (n, checkpoints) within each source. A group's `source` is the
    source that its cluster is a part of. A source of r rows with a finite trajectory has
    max(1, min(count, r // rows_per_cluster)) clusters: with almost as many clusters as rows, each
    row is a cluster of its own, and equal shares of clusters are a random draw.

    Args:
        seed: of the first centres and the priorities.
        count: clusters per source, at most.
        rows_per_cluster: rows that a source needs for each of its clusters; 1: as published.
        iterations: of Lloyd's algorithm.

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd, which clusters only the sources that are
    larger than their share of the budget: the others' clusters are not used, here either.
    """

    def score(pool: Pool) -> Scores:
        ids, source_numbers, trajectories = _gather(pool)
        usable = finite_rows({"nll": trajectories}, ["nll"])
        columns: list[Group] = []
        cluster_of = np.zeros(len(ids), dtype=np.int64)
        sizes = np.bincount(source_numbers, minlength=len(pool.info.sources))
        rows_of_source = np.split(np.argsort(source_numbers, kind="stable"), sizes.cumsum()[:-1])
        limited = 0
        kmeans_seed = derived_seed(seed, "clusters of trajectories")
        for source, rows in zip(pool.info.sources, rows_of_source, strict=True):
            cluster_of[rows] = len(columns)
            measured = rows[usable[rows]]
            order = shuffled_rows([ids[row] for row in measured], seed, "rows that are clustered")
            measured = measured[order]  # an order that does not depend on the pool's
            limit = max(1, min(count, len(measured) // rows_per_cluster))
            limited += limit < count
            found = kmeans(trajectories[measured], limit, kmeans_seed, iterations)
            cluster_of[measured] = len(columns) + found
            cluster_count = int(found.max()) + 1 if len(found) else 1
            columns += [Group(f"{source}/{k}", None, source) for k in range(cluster_count)]
        report.console.print(_summary(len(columns), sizes, limited, count, rows_per_cluster))
        draws = random_scores(ids, seed, "order within clusters")
        scores = np.where(usable, draws, -np.inf).astype(np.float32)
        return Scores(columns, iter([SingleGroup(cluster_of, scores)]))

    return PoolScorer(("nll",), score, copies=COPIES)


def _summary(
    clusters: int, sizes: np.ndarray, limited: int, count: int, rows_per_cluster: int
) -> str:
    """A line that says how many clusters there are, and how many sources are too small for more."""
    line = f"{clusters:,} clusters of {sizes.sum():,} rows in {len(sizes):,} sources"
    if not limited:
        return line
    return (
        f"{line}; {limited:,} of these have fewer than {count:,} each: at most a cluster for every "
        f"{rows_per_cluster:,} rows (`rows_per_cluster`)"
    )


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
