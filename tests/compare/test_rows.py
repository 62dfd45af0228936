"""The sentences on contaminated tasks: which runs, and how many tests."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dataselect.compare.rows import contaminated_tasks


def run(name: str, overlapping: int, tests: int = 40) -> Any:
    counts = {"contaminated": overlapping > 0, "overlapping_tests": overlapping, "tests": tests}
    scores = {"tasks": {"river": {"contamination": counts}}}
    return SimpleNamespace(name=name, scores=scores, folder=Path(name))


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run("a", 3), run("b", 0)], "in a (3 of 40 tests): rows"),
        ([run(name, 2 + i) for i, name in enumerate("abcde")], "in 5 of 5 runs (2 to 6 of 40 te"),
        ([run(name, 3) for name in "abcd"] + [run("e", 0)], "in 4 of 5 runs (3 of 40 tests): r"),
        ([run("a", 3, 50), *(run(name, 3) for name in "bcd")], "a (3 of 50 tests), b (3 of 40 t"),
    ],
)
def test_a_few_runs_are_named_and_many_counted(runs, expected):
    (sentence,) = contaminated_tasks(runs)
    assert sentence.startswith("task river is contaminated (*) in ")
    assert expected in sentence
