"""The query that each row is nearest to, within the task of the group that the row is shown in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataselect.ask.nearest import query_scorer, question
from dataselect.ask.run_files import RunFiles
from dataselect.data import shards, tables
from dataselect.data.scores import Group, Rows


class Query(NamedTuple):
    """A query of the run."""

    task: str
    id: str
    text: str


class BestQueries(NamedTuple):
    """The query of every row.

    Attributes:
        query: its number: int32, n; −1 where it is unknown.
        score: of the row with that query alone: float32, n; NaN where it is unknown.
    """

    query: np.ndarray
    score: np.ndarray


def read_queries(run: RunFiles) -> list[Query]:
    """The queries of a run, in their order; none where it has none."""
    if not run.has("queries"):
        return []
    table = tables.read("queries", run.path("queries"))
    columns = zip(table["task"], table["id"], table["messages"], strict=True)
    return [Query(task, name, question(messages)) for task, name, messages in columns]


def best_queries(
    run: RunFiles, queries: list[Query], group: np.ndarray, score: np.ndarray
) -> BestQueries:
    """Finds the query of every row: its group, where groups are queries; else by the scorer.

    Args:
        group: the group that each row is shown in: int32, n; −1 without one.
        score: of the row in that group: float32, n.
    """
    known = np.full(len(group), -1, np.int32)
    found = BestQueries(known, np.full(len(group), np.nan, np.float32))
    if not queries or not run.groups:
        return found
    numbers = {(query.task, query.id): number for number, query in enumerate(queries)}
    by_group = [numbers.get((g.task or "", g.name), -1) for g in run.groups]
    if -1 not in by_group:
        lookup = np.asarray([*by_group, -1], np.int32)  # the last for group −1
        return BestQueries(lookup[group], np.where(group >= 0, score, np.nan).astype(np.float32))
    return _compare(run, queries, group, found)


def _compare(
    run: RunFiles, queries: list[Query], group: np.ndarray, found: BestQueries
) -> BestQueries:
    """Compares all rows with the queries of their group's task, shard by shard."""
    scorer = query_scorer(run)
    if scorer is None:
        return found
    of_task = _queries_of_groups(run.groups, queries)
    first = 0
    for path in shards.shard_paths(run.folder / "features" / "pool"):
        arrays = shards.read_arrays(path, scorer.inputs)
        count = len(next(iter(arrays.values())))
        block = scorer.prepared.score(Rows([""] * count, [""] * count, arrays))
        assert isinstance(block, np.ndarray)  # a column for every query
        own = group[first : first + count]
        for number in np.unique(own[own >= 0]).tolist():
            columns = of_task[number]
            rows = np.flatnonzero(own == number)
            scores = block[np.ix_(rows, columns)]
            best = scores.argmax(axis=1)
            found.query[first + rows] = columns[best]
            found.score[first + rows] = scores[np.arange(len(rows)), best]
        first += count
    return found


def _queries_of_groups(groups: list[Group], queries: list[Query]) -> list[np.ndarray]:
    """The queries of each group's task; all, where it has no task."""
    tasks = np.asarray([query.task for query in queries])
    everyone = np.arange(len(queries))
    return [np.flatnonzero(tasks == g.task) if g.task in tasks else everyone for g in groups]
