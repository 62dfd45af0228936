"""What the dedup stage prints."""

import pytest

from dataselect.dedup.summary import _are_apart


@pytest.mark.parametrize(("tasks", "apart"), [
    ([("queries", 3, 0), ("tests", 0, 4), ("all", 3, 4)], True),
    ([("a", 3, 2), ("b", 0, 4), ("all", 3, 6)], False),
    ([("a", 3, 0), ("all", 3, 0)], False),
    ([("all", 0, 0)], False),
    ([], False),
])  # fmt: skip
def test_queries_and_tests_of_different_tasks_are_noticed(tasks, apart):
    assert _are_apart(tasks) == apart
