"""This machine: one process, or one for every GPU."""

from __future__ import annotations

import os
import re
import resource
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

from dataselect.engines import Run, Start, Work, nobody
from dataselect.errors import InputError
from dataselect.features import Advance
from dataselect.settings import Count


@contextmanager
def local(
    start: Start, *, workers: Count | Literal["auto"] = "auto", memory: str | None = None
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
    count = max(1, len(gpus)) if workers == "auto" else workers
    most = None if memory is None else memory_bytes(memory)
    if count == 1:
        yield _here(partial(_within, most, start))
        return
    with _processes(partial(_within, most, start), count, gpus) as run:
        yield run


def memory_bytes(text: str) -> int:
    """`6GB` as a number of bytes.

    Raises:
        InputError: it is no such size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MB|GB|TB)", text)
    if not found:
        raise InputError(f"engine.local.memory: expected a size like `6GB`; found {text!r}.")
    return int(float(found[1]) * {"MB": 1e6, "GB": 1e9, "TB": 1e12}[found[2]])


def _within(most: int | None, start: Start) -> Work:
    """Starts a worker that may take so many bytes."""
    if most is not None:
        import torch

        if torch.cuda.is_available():
            whole = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, most / whole))
        else:
            resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))
    return start()


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    named = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    return named or [str(number) for number in range(torch.cuda.device_count())]


def _here(start: Start) -> Run:
    work: Work | None = None

    def run(jobs: Iterable[Any], advance: Advance) -> Iterator[Any]:
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
    with ProcessPoolExecutor(count, context, _begin, (mine, start)) as pool:

        def run(jobs: Iterable[Any], advance: Advance) -> Iterator[Any]:
            try:
                yield from in_order((pool.submit(_do, job) for job in jobs), 2 * count, advance)
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


def in_order(futures: Iterator[Future], most: int, advance: Advance) -> Iterator[Any]:
    """Their results in order, with at most so many under way."""
    under_way: deque[Future] = deque()
    for future in futures:
        under_way.append(future)
        if len(under_way) >= most:
            yield _told(under_way.popleft(), advance)
    while under_way:
        yield _told(under_way.popleft(), advance)


def _told(future: Future, advance: Advance) -> Any:
    result = future.result()
    advance(result.rows)
    return result


#: In a worker process: how it starts, and what it does once it has.
_worker: dict[str, Any] = {}


def _begin(gpus: Any, start: Start) -> None:
    if gpu := gpus.get():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    _worker["start"] = start


def _do(job: Any) -> Any:
    if "work" not in _worker:
        _worker["work"] = _worker["start"]()
    return _worker["work"](job, nobody)
