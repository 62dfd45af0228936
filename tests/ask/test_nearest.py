"""The nearest queries: from the scores where groups are queries, else from the features."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from dataselect.ask.nearest import nearest_queries
from dataselect.ask.run_files import RunFiles
from tests.small_run import NEVER, write

QUERIES = np.float32([[1, 0], [0, 1], [0.6, 0.8]])


@pytest.fixture
def run(out):
    """Two tasks as groups, three queries, and vectors of the rows in two shards."""
    write("queries", [
        (task, name, [{"role": "user", "content": name.upper()}], None)
        for task, name in (("sum", "q0"), ("song", "q1"), ("song", "q2"))
    ])  # fmt: skip
    write("groups", [(0, "sum", "sum", None), (1, "song", "song", None)])
    for side in ("pool", "queries"):
        (out / "features" / side).mkdir(parents=True)
    rows = np.float32([[1, 0], [0, 2], [3, 4], [0, 1], [1, 1], [0, 0]])
    save_file({"vectors": rows[:4]}, out / "features/pool/0.safetensors")
    save_file({"vectors": rows[4:]}, out / "features/pool/1.safetensors")
    save_file({"vectors": QUERIES}, out / "features/queries/0.safetensors")
    scorer = {"name": "cosine", "settings": {"groups": "auto"}}
    (out.parent / "plan.json").write_text(json.dumps({"score": {"scorer": scorer, "code": ""}}))
    return RunFiles(out)


def found(run, row, count=3, scores=(0.0, 0.0)):
    queries = nearest_queries(run, row, np.float32(scores), count)
    return [(query.task, query.id, query.text, round(query.score, 4)) for query in queries]


def test_a_row_is_compared_with_each_query_by_the_methods_own_scorer(run):
    assert found(run, 2) == [
        ("song", "q2", "Q2", 1.0), ("song", "q1", "Q1", 0.8), ("sum", "q0", "Q0", 0.6)
    ]  # fmt: skip
    assert found(run, 4, count=1) == [("song", "q2", "Q2", 0.9899)]


def test_a_row_that_is_no_candidate_has_none(run):
    assert found(run, 5) == []


def test_where_groups_are_queries_their_scores_tell(run, out):
    names = [("q0", "sum"), ("q1", "song"), ("q2", "song")]
    write("groups", [(i, *name, None) for i, name in enumerate(names)])
    assert found(run, 0, scores=(0.25, NEVER, 0.5)) == [
        ("song", "q2", "Q2", 0.5), ("sum", "q0", "Q0", 0.25)
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["features", "plan.json", "queries"])
def test_without_what_it_takes_there_are_none(run, out, missing):
    if missing == "features":
        (out / "features").rename(out / "gone")
    elif missing == "queries":
        (out / "queries.parquet").unlink()
    else:
        (out.parent / "plan.json").unlink()
    assert found(run, 2) == []
