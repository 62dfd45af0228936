"""The same function in several processes of this machine: training, shared by accelerate."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from typing import Any, Literal

from dataselect import report
from dataselect.compute.local import exit_with_parent
from dataselect.compute.memory import free_memory, is_out_of_memory
from dataselect.compute.threads import use_threads
from dataselect.errors import InputError
from dataselect.settings import PositiveInt

#: Processes to train with; `auto`: one for each GPU.
Processes = PositiveInt | Literal["auto"]


def usable_processes(requested: Processes, parts: int, gpus: int | None = None) -> int:
    """How many processes share a step of `parts` equal parts: the most that divide it.

    No two share a GPU, which NCCL refuses.

    Args:
        gpus: how many there are; None: as many as torch sees.
    """
    if gpus is None:
        import torch

        gpus = torch.cuda.device_count()
    limit = max(1, gpus) if requested == "auto" else min(requested, gpus or requested)
    return max(number for number in range(1, limit + 1) if parts % number == 0)


def launch(processes: int, work: Callable[..., Any], *args: Any) -> Any:
    """Calls a function in processes that torch.distributed joins; returns the first one's result.

    Each has a GPU of its own where there are any, and its share of the threads. A single one is
    this process.

    Args:
        work: a module's function; it, its arguments and its result travel between processes.

    Raises:
        InputError: raised by a process, or a process was killed.
        MemoryError: a process ran out of memory.
    """
    if processes == 1:
        return work(*args)
    import torch
    from torch.multiprocessing import get_context
    from torch.multiprocessing.spawn import ProcessRaisedException, spawn

    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    free_memory()  # the first process needs the GPU that this one may have used
    results = get_context("spawn").SimpleQueue()
    threads = max(1, torch.get_num_threads() // processes)
    arguments = (processes, _free_port(), threads, results, work, args)
    context = spawn(_run_process, arguments, nprocs=processes, join=False)
    reports, failure = _join(context, results)
    # What a process reports comes first: how the others ended (a lost connection) follows from it.
    if mistake := next((r for r in reports if isinstance(r, BaseException)), None):
        raise mistake
    if isinstance(failure, ProcessRaisedException):
        raise failure
    if failure and not reports:
        raise InputError(
            "a training process was killed; the machine may have run out of memory. Run again: it "
            "continues from the last checkpoint. Lower `train.micro_batch_size` or "
            "`train.processes` if it happens again."
        ) from failure
    return reports[0]


def _join(context: Any, results: Any) -> tuple[list[Any], Exception | None]:
    """Waits for processes; returns what they reported, and how one of them failed, if any did."""
    from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

    reports, failure, running = [], None, True
    while running:
        try:
            running = not context.join(timeout=0.1)
        except (ProcessExitedException, ProcessRaisedException) as error:
            running, failure = False, error
        # A process that reports more than a pipe holds ends only once that is read.
        while not results.empty():
            reports.append(results.get())
    return reports, failure


def world_size() -> int:
    """How many processes share the work of this one."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main_process() -> bool:
    """Whether this is the process that shows progress and writes results."""
    return int(os.environ.get("RANK", 0)) == 0


def _run_process(
    rank: int, processes: int, port: int, threads: int, results: Any, work: Any, args: Any
) -> None:
    import torch

    exit_with_parent()
    report.quiet_libraries()
    variables = {
        **dict.fromkeys(("RANK", "LOCAL_RANK"), rank),
        **dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": threads,  # without it accelerate chooses another number
    }
    os.environ.update({name: str(value) for name, value in variables.items()})
    use_threads(threads)
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    try:
        result = work(*args)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    except Exception as error:
        if not isinstance(error, InputError) and not is_out_of_memory(error):
            raise
        # torch's own exceptions may not travel between processes.
        results.put(error if isinstance(error, InputError) else MemoryError(str(error)))
        os._exit(1)  # does not wait for the others: they may be waiting for this one
    if rank == 0:
        results.put(result)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
