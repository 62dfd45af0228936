"""This machine: one process, or one for every GPU."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from threading import Thread
from typing import Any, Literal

from dataselect.compute import Run, Start, Work, no_progress, ordered_results
from dataselect.compute.memory import memory_bytes, with_memory_limit
from dataselect.compute.threads import cores, use_threads
from dataselect.errors import InputError
from dataselect.report import Progress
from dataselect.settings import PositiveInt


@contextmanager
def local(
    start: Start, *, workers: PositiveInt | Literal["auto"] = "auto", memory: str | None = None
) -> Generator[Run]:
    """Works in this process; with several GPUs, in a process for each of them.

    Args:
        start: see `engines`.
        workers: processes, each with a GPU of its own where there are any. `auto`: as many as
            there are GPUs.
        memory: at most so much for a worker, like `6GB`: of its GPU, or without one of the
            machine's. Batches shrink to fit. None: all there is.

    Raises:
        InputError: a process was killed; what was finished stays.
    """
    gpus = _gpus()
    count = _worker_count(workers, gpus)
    most = None if memory is None else memory_bytes(memory)
    if count == 1:
        yield _in_process(partial(with_memory_limit, most, start))
        return
    with _processes(partial(with_memory_limit, most, start), count, gpus) as run:
        yield run


def parallel_workers(workers: PositiveInt | Literal["auto"] = "auto", **settings: object) -> int:
    """How many times faster than one worker so many are: those that have a GPU of their own."""
    gpus = _gpus()
    return max(1, min(_worker_count(workers, gpus), len(gpus)))


def _worker_count(workers: PositiveInt | Literal["auto"], gpus: list[str]) -> int:
    return max(1, len(gpus)) if workers == "auto" else workers


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    return named or [str(number) for number in range(torch.cuda.device_count())]


def _in_process(start: Start) -> Run:
    work: Work | None = None

    def run(jobs: Iterable[Any], advance: Progress) -> Iterator[Any]:
        nonlocal work
        for job in jobs:
            work = work or start()
            yield work(job, advance)

    return run


@contextmanager
def _processes(start: Start, count: int, gpus: list[str]) -> Generator[Run]:
    import multiprocessing

    context = multiprocessing.get_context("spawn")  # a forked process cannot use its parent's GPU
    mine = context.Queue()
    for number in range(count):
        mine.put(gpus[number % len(gpus)] if gpus else "")
    threads = max(1, cores() // count)
    with ProcessPoolExecutor(count, context, _init_worker, (mine, threads, start)) as pool:

        def run(jobs: Iterable[Any], advance: Progress) -> Iterator[Any]:
            try:
                futures = (pool.submit(_run_job, job) for job in jobs)
                yield from ordered_results(futures, 2 * count, Future.result, advance)
            except BrokenProcessPool:
                raise InputError(
                    "a worker process was killed; the system may have run out of memory. What was "
                    "finished is kept: run `dvc repro` again, with fewer `workers` if need be."
                ) from None

        try:
            yield run
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


#: In a worker process: how it starts, and what it does once it has.
_worker: dict[str, Any] = {}


def _init_worker(gpus: Any, threads: int, start: Start) -> None:
    if gpu := gpus.get():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    else:
        use_threads(threads)
    exit_with_parent()
    _worker["start"] = start


def exit_with_parent() -> None:
    """Has this process end when the one it works for is killed: it would keep its GPU's memory."""
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    import multiprocessing
    from multiprocessing.connection import wait

    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)


def _run_job(job: Any) -> Any:
    if "work" not in _worker:
        _worker["work"] = _worker["start"]()
    return _worker["work"](job, no_progress)
