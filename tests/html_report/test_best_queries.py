"""The query of every row, where groups are queries and where they are tasks."""

import json

import numpy as np

from dataselect.ask.run_files import RunFiles
from dataselect.html_report.best_queries import best_queries, read_queries
from tests.small_run import write

GROUP = np.asarray([0, 0, 1, 1, 1, -1], np.int32)
SCORE = np.asarray([0.5, 0.75, 0.125, 1, 0.5, np.nan], np.float32)


def test_a_group_that_is_a_query_is_the_query(run_folder):
    run = RunFiles(run_folder)
    found = best_queries(run, read_queries(run), GROUP, SCORE)
    assert found.query.tolist() == GROUP.tolist()
    np.testing.assert_array_equal(found.score, SCORE)


def test_in_a_task_the_scorer_compares_with_its_queries(run_folder):
    write("groups", [(0, "sum", "sum", None), (1, "both", None, None)])
    run = RunFiles(run_folder)
    found = best_queries(run, read_queries(run), GROUP, SCORE)
    assert found.query.tolist() == [0, 0, 0, 1, 0, -1]
    np.testing.assert_allclose(
        found.score[:5], [1, 0, 2 / 5**0.5, 2 / 5**0.5, 1 / 2**0.5], atol=1e-3
    )


def test_without_features_the_query_is_not_known(run_folder):
    write("groups", [(0, "sum", "sum", None), (1, "song", "song", None)])
    (run_folder / "plan.json").write_text(json.dumps({}))
    run = RunFiles(run_folder)
    found = best_queries(run, read_queries(run), GROUP, SCORE)
    assert found.query.tolist() == [-1] * 6
