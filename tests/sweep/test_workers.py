"""How many runs at a time the memory allows."""

from types import SimpleNamespace

import pytest
from tests.helpers import mistake

from dataselect.sweep import workers


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """Training takes 3 GB of 10."""
    monkeypatch.setattr(workers, "training_bytes", lambda known: known and (3e9, 1e10))


RUNS = [SimpleNamespace(name="unknown", sections=None), SimpleNamespace(name="big", sections=1)]


@pytest.mark.parametrize("count", [1, 3])
def test_what_fits_is_accepted(count):
    workers.check_workers(RUNS, count)


def test_more_than_fit_are_refused_with_the_number_that_does():
    message = mistake(workers.check_workers, RUNS, 4)
    assert message.startswith("--workers 4: big trains in at most 3.0 GB, and 10.0 GB of memory")
    assert message.endswith("Set --workers 3.")
    workers.check_workers(RUNS[:1], 100)


def test_none_is_refused():
    assert "expected at least 1, found 0" in mistake(workers.check_workers, RUNS, 0)
