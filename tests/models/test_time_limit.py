"""What takes too long ends, in whatever thread it is; what comes after is left alone."""

import itertools
import threading
import time

import pytest

from dataselect.models import time_limit
from dataselect.models.time_limit import TimeLimit, TooLong


@pytest.fixture
def limit(monkeypatch):
    """One of a tenth of a second."""
    monkeypatch.setattr(time_limit, "SECONDS", 0.01)
    return TimeLimit()


def for_ever():
    for _ in itertools.count():
        pass


def end_of(limit, work):
    """How work within the limit ends."""
    try:
        with limit.watched():
            work()
    except TooLong:
        return "too long"
    return "done"


def test_endless_work_ends_also_outside_the_main_thread(limit):
    ends = []
    thread = threading.Thread(target=lambda: ends.append(end_of(limit, for_ever)))
    thread.start()
    thread.join()
    assert ends == ["too long"]
    assert end_of(limit, for_ever) == "too long"


def test_short_work_is_left_alone_however_much_there_is(limit):
    assert [end_of(limit, lambda: time.sleep(0.001)) for _ in range(200)] == ["done"] * 200


def test_an_error_that_comes_when_the_work_has_ended_is_taken_back(limit):
    with limit.watched():  # as if the watcher had just seen that it takes too long
        limit._ended = True
    assert end_of(limit, lambda: None) == "done"


def test_the_watcher_ends_with_the_work(limit):
    assert end_of(limit, lambda: None) == "done"
    watcher = limit._watcher
    if watcher is not None:  # it has not ended yet
        watcher.join()
    assert limit._watcher is None
    assert end_of(limit, for_ever) == "too long"
