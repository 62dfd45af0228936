"""Jobs on this process's threads: for numpy's work, which lets go of Python's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from dataselect.compute import Run, Start, no_progress, ordered_results
from dataselect.report import Progress


@contextmanager
def threads(start: Start) -> Generator[Run]:
    """Works as an engine does, in a thread a core (or as many as OMP_NUM_THREADS says).

    A matrix product within a job keeps to its thread. So results do not depend on how many there
    are, and what lies between two products keeps no core waiting.
    """
    from threadpoolctl import threadpool_limits

    own = threading.local()

    def work(job: Any) -> Any:
        if not hasattr(own, "work"):
            own.work = start()
        return own.work(job, no_progress)

    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    count = int(asked) if asked.isdigit() and int(asked) else cores()
    with threadpool_limits(1), ThreadPoolExecutor(count) as pool:

        def run(jobs: Iterable[Any], advance: Progress) -> Iterator[Any]:
            futures = (pool.submit(work, job) for job in jobs)
            yield from ordered_results(futures, 2 * count, Future.result, advance)

        yield run


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(count: int | None) -> None:
    """Computes with so many CPU threads; None: with all there are."""
    import torch

    if count:
        torch.set_num_threads(count)
