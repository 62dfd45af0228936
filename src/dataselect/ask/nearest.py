"""The queries that a row is nearest to: by the stored scores, or by the stored features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataselect.ask.run_files import RunFiles
from dataselect.data import tables
from dataselect.data.scores import PoolInfo, Queries, Rows
from dataselect.score import Prepared, RowScorer
from dataselect.settings import Part, load_part, part_function, settings_of


class NearQuery(NamedTuple):
    """A query, and the row's score with it alone."""

    task: str
    id: str
    text: str
    score: float


def nearest_queries(run: RunFiles, row: int, scores: np.ndarray, count: int) -> list[NearQuery]:
    """The queries with which a row has the highest scores, the best first.

    Where the groups are no queries, but tasks, say, the method's own scorer compares the row with
    each query, from the stored features. Empty without queries, or without those features.

    Args:
        row: the row's number.
        scores: its scores in every group: float32, g.
    """
    if not (run.has("queries") and run.groups):
        return []
    table = tables.read("queries", run.path("queries"))
    names = list(zip(table["task"], table["id"], strict=True))
    by_query = {
        (group.task, group.name): float(s) for group, s in zip(run.groups, scores, strict=True)
    }
    if not all(name in by_query for name in names):
        found = _compare(run, row)
        if found is None:
            return []
        by_query = dict(zip(names, found.tolist(), strict=True))
    best = sorted(range(len(names)), key=lambda place: -by_query[names[place]])[:count]
    return [
        NearQuery(*names[place], question(table["messages"][place]), by_query[names[place]])
        for place in best
        if by_query[names[place]] > -np.inf
    ]


def question(messages: list[dict]) -> str:
    """The first user turn of a conversation."""
    return next((turn["content"] for turn in messages if turn["role"] == "user"), "")


class QueryScorer(NamedTuple):
    """The method's own scorer with a column for every query, and the arrays that it reads."""

    prepared: Prepared
    inputs: tuple[str, ...]


def query_scorer(run: RunFiles) -> QueryScorer | None:
    """The run's scorer with a column for every query; None where it cannot compare with queries."""
    from dataselect.data import shards

    section = run.plan.get("score")
    folder = run.folder / "features" / "queries"
    if section is None or not folder.is_dir():
        return None
    name, settings = section["scorer"]["name"], section["scorer"]["settings"]
    if "groups" not in settings_of(part_function("score", name, "plan.json")):
        return None
    scorer = load_part("score", Part(name, {**settings, "groups": "queries"}))
    if not (isinstance(scorer, RowScorer) and scorer.uses_queries):
        return None
    table = tables.read("queries", run.path("queries"))
    task, query, subtask = (table[column].to_list() for column in ("task", "id", "subtask"))
    queries = Queries(task, query, shards.read_all(folder), subtask)
    return QueryScorer(scorer.prepare(PoolInfo(1, [""]), queries), scorer.inputs)


def _compare(run: RunFiles, row: int) -> np.ndarray | None:
    """The row's score with every query (float32, m); None where it cannot be computed."""
    from dataselect.data import shards

    scorer = query_scorer(run)
    first = 0
    for path in shards.shard_paths(run.folder / "features" / "pool") if scorer else []:
        assert scorer is not None  # else there is no path
        end = first + shards.row_count(path)
        if row < end:
            arrays = shards.read_arrays(path, scorer.inputs)
            own = {key: array[row - first : row - first + 1] for key, array in arrays.items()}
            block = scorer.prepared.score(Rows([""], [""], own))
            assert isinstance(block, np.ndarray)  # a column for every query
            return block[0]
        first = end
    return None
