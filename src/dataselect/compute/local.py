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

from dataselect.compute import Engine, Run, StartWorker, Work, no_progress, ordered_results
from dataselect.compute.memory import memory_bytes, with_memory_limit
from dataselect.compute.placement import DeviceMap, MaxMemory, Placement, placed, placement
from dataselect.compute.progress import follow
from dataselect.compute.threads import use_threads
from dataselect.errors import InputError
from dataselect.machine import cores
from dataselect.report import Progress
from dataselect.settings import PositiveInt

Workers = PositiveInt | Literal["auto"]


def local(
    *,
    workers: Workers = "auto",
    memory: str | None = None,
    device_map: DeviceMap = None,
    max_memory: MaxMemory = None,
) -> Engine:
    """Works in this process; with several GPUs, in a process for each of them.

    Args:
        workers: processes, each with a GPU of its own where there are any. `auto`: one per GPU.
        memory: the most a worker may use, like `6GB`: of its GPU, or, without one, of the machine.
            Batches shrink to fit. None: no limit.
        device_map: `auto` spreads a model that is larger than a GPU over all of them, then over
            memory, then over disk, for features and evaluation; one worker has all GPUs.
        max_memory: the most that its weights may take of each `gpu`, and of the machine (`cpu`),
            like `{gpu: 60GB, cpu: 200GB}`. Without: 80% of what is free.

    Raises:
        InputError: a size is none, or `device_map` stands beside a setting that it excludes; or,
            while it runs, a worker process was killed.
    """
    limit = None if memory is None else memory_bytes(memory, "engine.local.memory")
    spread = placement(device_map, max_memory, "engine.local")
    if spread:
        _check_spread(workers, memory)
        workers = 1
    return Engine(
        open=partial(_open, workers, limit, spread),
        one_machine=True,
        parallel_workers=partial(_parallel_workers, workers),
        placement=spread,
    )


def _check_spread(workers: Workers, memory: str | None) -> None:
    """Refuses what a model that is spread over all GPUs leaves no use for."""
    for name, value, default in (("workers", workers, "auto"), ("memory", memory, None)):
        if value not in (default, 1):
            raise InputError(
                f"params.yaml: engine.local.{name}: found `{value}` beside `device_map: auto`, "
                "with which one worker has all GPUs, and `max_memory` limits its weights. Remove "
                "one of the two."
            )


@contextmanager
def _open(
    workers: Workers, limit: int | None, spread: Placement | None, start: StartWorker
) -> Generator[Run]:
    gpus = _gpus()
    count = _worker_count(workers, gpus)
    limited = partial(with_memory_limit, limit, start)
    if count == 1:
        with placed(spread):
            yield _in_process(limited)
        return
    with _processes(limited, count, gpus) as run:
        yield run


def _parallel_workers(workers: Workers) -> int:
    """Workers that have a GPU of their own: others share the cores that one would use."""
    gpus = _gpus()
    return max(1, min(_worker_count(workers, gpus), len(gpus)))


def _worker_count(workers: Workers, gpus: list[str]) -> int:
    return max(1, len(gpus)) if workers == "auto" else workers


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    if not torch.cuda.is_available():
        return []
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named or [str(number) for number in range(torch.cuda.device_count())]


def _in_process(start: StartWorker) -> Run:
    work: Work | None = None

    def run(jobs: Iterable[Any], progress: Progress) -> Iterator[Any]:
        nonlocal work
        for job in jobs:
            work = work or start()
            yield work(job, progress)

    return run


@contextmanager
def _processes(start: StartWorker, count: int, gpus: list[str]) -> Generator[Run]:
    import multiprocessing

    context = multiprocessing.get_context("spawn")  # a forked process cannot use its parent's GPU
    places = context.Queue()
    for number in range(count):
        places.put((number, gpus[number % len(gpus)] if gpus else ""))
    rows_done = context.RawArray("d", count)  # without a lock, which a killed worker might hold
    arguments = (places, rows_done, max(1, cores() // count), start)
    with ProcessPoolExecutor(count, context, _init_worker, arguments) as pool:

        def run(jobs: Iterable[Any], progress: Progress) -> Iterator[Any]:
            before = sum(rows_done)
            try:
                with follow(lambda: sum(rows_done) - before, progress):
                    futures = (pool.submit(_run_job, job) for job in jobs)
                    yield from ordered_results(futures, 2 * count, Future.result, no_progress)
            except BrokenProcessPool:
                raise InputError(
                    "a worker process was killed; the machine may have run out of memory, or the "
                    "worker has said why above. Finished work is kept: run `dvc repro` again, with "
                    "fewer `workers` if it happens again."
                ) from None

        try:
            yield run
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


#: In a worker process: how it starts, and what it does once it has.
_worker: dict[str, Any] = {}


def _init_worker(places: Any, rows_done: Any, threads: int, start: StartWorker) -> None:
    number, gpu = places.get()
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    else:
        use_threads(threads)
    exit_with_parent()
    _worker["start"] = start

    def progress(rows: float, tokens: int = 0, flops: float = 0.0, /) -> None:
        rows_done[number] += rows

    _worker["progress"] = progress


def exit_with_parent() -> None:
    """Ends this process when its parent is killed: it would keep its GPU's memory."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    import multiprocessing
    from multiprocessing.connection import wait

    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)


def _run_job(job: Any) -> Any:
    if "work" not in _worker:
        _worker["work"] = _worker["start"]()
    return _worker["work"](job, _worker["progress"])
