"""An engine of this process's threads: for numpy's work, which lets go of Python's lock."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from dataselect.engines import Run, Start, nobody
from dataselect.engines.local import in_order
from dataselect.features import Advance


@contextmanager
def threads(start: Start) -> Generator[Run]:
    """Works in a thread a core (or as many as OMP_NUM_THREADS says), each on jobs of its own.

    A matrix product within a job keeps to its thread. So results do not depend on how many there
    are, and what lies between two products keeps no core waiting.
    """
    from threadpoolctl import threadpool_limits

    own = threading.local()

    def work(job: Any) -> Any:
        if not hasattr(own, "work"):
            own.work = start()
        return own.work(job, nobody)

    count = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    with threadpool_limits(1), ThreadPoolExecutor(count) as pool:

        def run(jobs: Iterable[Any], advance: Advance) -> Iterator[Any]:
            yield from in_order((pool.submit(work, job) for job in jobs), 2 * count, advance)

        yield run
