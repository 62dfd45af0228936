"""Where work runs: the engines are `local` and `ray`; the other files are what they stand on.

The file `compute/<engine>.py` has a function `<engine>`: its keyword-only parameters are the
engine's settings in params.yaml, and it returns an `Engine`. What a worker does and what a job
holds travels between processes, so both are functions of modules and plain data.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dataselect.report import Progress

if TYPE_CHECKING:
    from dataselect.compute.placement import Placement


class Result(Protocol):
    """The result of a job; an engine only reads how many rows it was about."""

    @property
    def rows(self) -> int: ...


R = TypeVar("R", bound=Result)

#: (job, progress) → result.
Work = Callable[[Any, Progress], Any]

#: () → Work. Called once in each worker, at its first job: loads a model, say.
StartWorker = Callable[[], Work]

#: (jobs, progress) → their results, in order. Jobs may come from a generator: it is asked only for
#: as many as are in progress.
Run = Callable[[Iterable[Any], Progress], Iterator[Any]]


@dataclass(frozen=True)
class Engine:
    """An engine with its settings.

    Attributes:
        open: starts workers; the context gives `Run`, and ends the workers when it closes.
        one_machine: whether all work runs on this machine.
        parallel_workers: () → how many times as fast as one worker it is, for the estimate.
        placement: how its workers, and evaluation, load a model that is larger than one GPU.
    """

    open: Callable[[StartWorker], AbstractContextManager[Run]]
    one_machine: bool
    parallel_workers: Callable[[], int]
    placement: Placement | None = None


def no_progress(rows: float, tokens: int = 0, flops: float = 0.0, /) -> None:
    """A progress callback that does nothing."""


def ordered_results(
    started: Iterable[Any], limit: int, result: Callable[[Any], R], progress: Progress
) -> Iterator[R]:
    """The results of started jobs in order, with at most `limit` in progress at a time."""
    pending: deque[Any] = deque()

    def first() -> R:
        done = result(pending.popleft())
        progress(done.rows)
        return done

    for job in started:
        pending.append(job)
        if len(pending) >= limit:
            yield first()
    while pending:
        yield first()
