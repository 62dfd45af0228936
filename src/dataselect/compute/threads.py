"""Jobs on this process's threads: for numpy work, which releases the GIL."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from dataselect.compute import Run, StartWorker, no_progress, ordered_results
from dataselect.machine import cores
from dataselect.report import Progress


@contextmanager
def threads(start: StartWorker) -> Generator[Run]:
    """Runs jobs as an engine does, in one thread per core (or as many as OMP_NUM_THREADS says).

    A matrix product within a job uses one thread. So results do not depend on the number of
    threads, and no core waits between two products.
    """
    local = threading.local()

    def work(job: Any) -> Any:
        if not hasattr(local, "work"):
            local.work = start()
        return local.work(job, no_progress)

    with _pool() as (pool, count):

        def run(jobs: Iterable[Any], progress: Progress) -> Iterator[Any]:
            futures = (pool.submit(work, job) for job in jobs)
            yield from ordered_results(futures, 2 * count, Future.result, progress)

        yield run


@contextmanager
def thread_map() -> Generator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """A `map` over the same threads, for a function that is called on items known beforehand."""
    with _pool() as (pool, _):
        yield pool.map


@contextmanager
def _pool() -> Generator[tuple[ThreadPoolExecutor, int]]:
    """Threads, and how many; a matrix product in one of them uses no other."""
    from threadpoolctl import threadpool_limits

    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    count = int(wanted) if wanted.isdigit() and int(wanted) else cores()
    with threadpool_limits(1), ThreadPoolExecutor(count) as pool:
        try:
            yield pool, count
        finally:
            pool.shutdown(cancel_futures=True)  # after an error nothing more is begun


def use_threads(count: int | None) -> None:
    """Sets torch's CPU threads; None leaves the default."""
    import torch

    if count:
        torch.set_num_threads(count)
