"""Equal shares for the sources, and within a source for its clusters; the small ones first."""

from __future__ import annotations

import numpy as np

from dataselect.aggregate import Matrix, Picks
from dataselect.data.scores import Group, SingleGroup

#: A cluster of at most so many rows waits until the others cannot fill a source's share.
STRAGGLERS = 2


def nested_fill(matrix: Matrix, groups: list[Group], n: int) -> Picks:
    """Fills the budget source by source, and a source's share cluster by cluster.

    Sources in rising order of size: each gets (rows left) // (sources left), and one that is no
    larger than that is taken whole. Else its clusters of more than two rows, in rising order of
    size: each gives (rows left of the share) // (clusters left), its best-scoring ones. What is
    missing then comes from the best rows of the clusters of one or two. Equal sizes go by name
    and by number.
    Fewer than n rows come back where the candidates are fewer.

    Args:
        groups: the clusters; a group's parent is its source (none: all are of one).

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd, which draws within a cluster at random: so
    does this, where the scores are random priorities. The published loop leaves the remainders of
    its divisions to the last source and cluster; so does this.
    """
    rows, of, scores = _candidates(matrix)
    number = {name: i for i, name in enumerate(sorted({str(g.source) for g in groups}))}
    source_of_group = np.asarray([number[str(group.source)] for group in groups], dtype=np.int64)
    source = source_of_group[of]
    # Best first within each cluster; of equals, the lower row.
    order = np.lexsort((rows, -scores, of))
    rows, of, scores, source = rows[order], of[order], scores[order], source[order]
    sizes = np.bincount(source, minlength=len(number))
    chosen: list[np.ndarray] = []
    left, waiting = n, np.flatnonzero(sizes)
    waiting = waiting[np.lexsort((waiting, sizes[waiting]))]
    for done, one in enumerate(waiting):
        share = left // (len(waiting) - done)
        mine = np.flatnonzero(source == one)
        taken = mine if len(mine) <= share else mine[_fill(of[mine], scores[mine], share)]
        chosen.append(taken)
        left -= len(taken)
    picked = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    return Picks(rows[picked], of[picked], scores[picked])


def _candidates(matrix: Matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row number, group and score of every candidate."""
    rows, of, scores = [], [], []
    first = 0
    for block in matrix():
        if not isinstance(block, SingleGroup):
            block = SingleGroup(block.argmax(axis=1), block.max(axis=1))
        here = np.flatnonzero(block.score > -np.inf)
        rows.append(here + first)
        of.append(block.group[here])
        scores.append(block.score[here])
        first += len(block.group)
    return np.concatenate(rows), np.concatenate(of).astype(np.int64), np.concatenate(scores)


def _fill(of: np.ndarray, scores: np.ndarray, share: int) -> np.ndarray:
    """`share` places of a source whose rows are in clusters `of`, sorted by cluster, best first."""
    clusters, starts, sizes = np.unique(of, return_index=True, return_counts=True)
    full = [one for one in np.lexsort((clusters, sizes)) if sizes[one] > STRAGGLERS]
    taken: list[np.ndarray] = []
    left = share
    for done, one in enumerate(full):
        count = min(int(sizes[one]), left // (len(full) - done))
        taken.append(starts[one] + np.arange(count))
        left -= count
    others = np.flatnonzero(np.isin(of, clusters[sizes <= STRAGGLERS]))
    taken.append(others[np.argsort(-scores[others], kind="stable")][:left])
    return np.concatenate(taken)
