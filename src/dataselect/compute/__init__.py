"""Where work runs: one file an engine.

An engine is a context manager. It is given how a worker starts (loads its model, say), and gives a
function of jobs that yields their results in the order of the jobs. Jobs come from a generator that
is asked only for as many as are under way. What a worker does and what a job holds travels between
processes, so both are made of functions of modules and of plain data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from dataselect.report import Progress


class Result(Protocol):
    """What a job comes to; an engine reads only how many rows it was of."""

    @property
    def rows(self) -> int: ...


R = TypeVar("R", bound=Result)

#: A job and who is told of its rows as they are done → its result.
Work = Callable[[Any, Progress], Any]

#: Starts a worker: called once in each, at its first job.
Start = Callable[[], Work]

#: Jobs, and who is told of the rows done → their results, in order.
Run = Callable[[Iterable[Any], Progress], Iterator[Any]]


def no_progress(rows: int, tokens: int = 0, flops: float = 0.0, /) -> None:
    """Is told of rows done, and tells nobody: in another process than the one that shows it."""


def ordered_results(
    under_way: Iterable[Any], most: int, result: Callable[[Any], R], advance: Progress
) -> Iterator[R]:
    """The results of jobs in order, with at most so many under way; tells of rows done."""
    waiting: deque[Any] = deque()

    def first() -> R:
        done = result(waiting.popleft())
        advance(done.rows)
        return done

    for one in under_way:
        waiting.append(one)
        if len(waiting) >= most:
            yield first()
    while waiting:
        yield first()
