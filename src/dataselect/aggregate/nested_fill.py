"""Equal shares for the sources, and within a source for its clusters; the small ones first."""

from __future__ import annotations

import numpy as np

from dataselect.aggregate import Picks, ReadBlocks
from dataselect.data.scores import Group, SingleGroup

#: A cluster of at most this many rows gives some only where the others cannot fill the share.
STRAGGLERS = 2


def nested_fill(read_blocks: ReadBlocks, groups: list[Group], n: int) -> Picks:
    """Fills the budget source by source, and a source's share cluster by cluster.

    Sources in rising order of size: each gets (rows missing) // (sources to come), and one that is
    no larger than that is taken whole. Otherwise its clusters of more than two rows, in rising
    order of size, each give (rows missing of the share) // (clusters to come), their best-scoring
    ones. What is still missing then comes from the best rows of the clusters of one or two. Equal
    sizes go by name and by number. Fewer than n rows come back where there are fewer candidates.

    Args:
        groups: the clusters, each with its source; without one, all are of the same source.

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd, which draws within a cluster at random: so
    does this, where the scores are random priorities. The published loop leaves the remainders of
    its divisions to the last source and cluster; so does this.
    """
    rows, clusters, scores = _candidates(read_blocks)
    number = {name: i for i, name in enumerate(sorted({str(g.source) for g in groups}))}
    source_of_group = np.asarray([number[str(group.source)] for group in groups], dtype=np.int64)
    sources = source_of_group[clusters]
    # Best first within each cluster; of equals, the lower row.
    order = np.lexsort((rows, -scores, clusters))
    rows, clusters, scores, sources = rows[order], clusters[order], scores[order], sources[order]
    sizes = np.bincount(sources, minlength=len(number))
    by_size = np.flatnonzero(sizes)
    by_size = by_size[np.lexsort((by_size, sizes[by_size]))]
    chosen: list[np.ndarray] = []
    missing = n
    for done, source in enumerate(by_size):
        share = missing // (len(by_size) - done)
        members = np.flatnonzero(sources == source)
        if len(members) > share:
            members = members[_fill(clusters[members], scores[members], share)]
        chosen.append(members)
        missing -= len(members)
    picked = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    return Picks(rows[picked], clusters[picked], scores[picked])


def _candidates(read_blocks: ReadBlocks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row number, group and score of every candidate."""
    rows, groups, scores = [], [], []
    first = 0
    for block in read_blocks():
        if not isinstance(block, SingleGroup):
            block = SingleGroup(block.argmax(axis=1), block.max(axis=1))
        candidates = np.flatnonzero(block.score > -np.inf)
        rows.append(candidates + first)
        groups.append(block.group[candidates])
        scores.append(block.score[candidates])
        first += len(block.group)
    return np.concatenate(rows), np.concatenate(groups).astype(np.int64), np.concatenate(scores)


def _fill(clusters: np.ndarray, scores: np.ndarray, share: int) -> np.ndarray:
    """The positions of `share` of a source's rows, which are sorted by cluster, best first."""
    names, starts, sizes = np.unique(clusters, return_index=True, return_counts=True)
    large = [i for i in np.lexsort((names, sizes)) if sizes[i] > STRAGGLERS]
    taken: list[np.ndarray] = []
    missing = share
    for done, i in enumerate(large):
        count = min(int(sizes[i]), missing // (len(large) - done))
        taken.append(starts[i] + np.arange(count))
        missing -= count
    others = np.flatnonzero(np.isin(clusters, names[sizes <= STRAGGLERS]))
    taken.append(others[np.argsort(-scores[others], kind="stable")][:missing])
    return np.concatenate(taken)
