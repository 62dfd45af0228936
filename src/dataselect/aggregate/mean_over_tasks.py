"""The highest means over the tasks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataselect.aggregate import Picks, Quotas, ReadBlocks
from dataselect.aggregate._best_groups import best_groups
from dataselect.aggregate._choose import choose
from dataselect.data.scores import Group, SingleGroup
from dataselect.data.topk import top_k

NEEDS_TASKS = True


def mean_over_tasks(
    read_blocks: ReadBlocks, groups: list[Group], n: int, quotas: Quotas | None = None
) -> Picks:
    """Chooses the n rows whose mean score over the tasks is highest.

    A row's score for a task is its highest over the groups of the task, such as its queries. A row
    that is no candidate of some task is none here. Of a chosen row, `scores` has the mean, and
    `groups` the group in which it scores highest. Fewer than n rows come back where there are fewer
    candidates. With quotas, a row of a source that can get no more is passed over.

    Source: arXiv 2503.01807, which compares it with round-robin over the tasks.
    """
    if quotas is None:
        (ranked,) = top_k(_means(read_blocks, groups), 1, n)
    else:
        ranked = choose(lambda: _means(read_blocks, groups), 1, quotas)
    return Picks(ranked.rows, best_groups(read_blocks, ranked.rows), ranked.scores)


def _means(read_blocks: ReadBlocks, groups: list[Group]) -> Iterator[np.ndarray]:
    """Each row's mean over the tasks, as a single column: blocks (b 1), float32.

    Tasks are added in the order of their names, in float64: the groups' order decides nothing.
    """
    names = np.asarray([str(group.task) for group in groups])
    by_task = np.argsort(names, kind="stable")
    tasks, starts = np.unique(names[by_task], return_index=True)
    for block in read_blocks():
        if isinstance(block, SingleGroup):  # of all tasks but one a row is no candidate
            means = block.score if len(tasks) == 1 else np.full(len(block.score), -np.inf)
        else:
            best = np.maximum.reduceat(block[:, by_task], starts, axis=1)  # b, tasks
            means = best.sum(axis=1, dtype=np.float64) / len(tasks)
        yield means.astype(np.float32)[:, None]
