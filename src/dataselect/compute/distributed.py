"""The same function on all GPUs of this machine at once: training, split up by accelerate."""

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


def usable_processes(asked: Processes, parts: int) -> int:
    """How many processes share a step that has so many parts: as many as divide it.

    No two share a GPU, which NCCL refuses.
    """
    import torch

    gpus = torch.cuda.device_count()
    asked = max(1, gpus) if asked == "auto" else min(asked, gpus or asked)
    return max(number for number in range(1, asked + 1) if parts % number == 0)


def launch(processes: int, work: Callable[..., Any], *args: Any) -> Any:
    """Calls a function in so many processes that torch.distributed joins; what the first returns.

    Each has a GPU of its own where there are any, and its share of the threads. One is this
    process.

    Args:
        work: a module's function; it, its arguments and what it returns travel between processes.

    Raises:
        InputError: that of a process; or one was killed.
        MemoryError: a process ran out of memory.
    """
    if processes == 1:
        return work(*args)
    import torch
    from torch.multiprocessing import get_context
    from torch.multiprocessing.spawn import (
        ProcessExitedException,
        ProcessRaisedException,
        spawn,
    )

    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    free_memory()  # the first process has the GPU that this one may have used
    answers = get_context("spawn").SimpleQueue()
    threads = max(1, torch.get_num_threads() // processes)
    told: BaseException | None = None
    try:
        spawn(
            _run_process, (processes, _free_port(), threads, answers, work, args), nprocs=processes
        )
    except (ProcessExitedException, ProcessRaisedException) as error:
        told = error
    # What a process says of itself, before how the others then ended: they lost their connection.
    answer = None if answers.empty() else answers.get()
    if isinstance(answer, BaseException):
        raise answer
    if isinstance(told, ProcessRaisedException):
        raise told
    if told and answer is None:
        raise InputError(
            "a training process ended by itself; the system may have run out of memory. Run again: "
            "it goes on from the last checkpoint. Lower `train.micro_batch_size` or "
            "`train.processes` if need be."
        ) from told
    return answer


#: Of this process: which it is of those that share the work, and how many they are.
_place = {"number": 0, "of": 1}


def world_size() -> int:
    """How many processes share the work that this one is a part of."""
    return _place["of"]


def is_main_process() -> bool:
    """Whether this is the process that shows progress and writes what all have done."""
    return _place["number"] == 0


def _run_process(
    number: int, processes: int, port: int, threads: int, answers: Any, work: Any, args: Any
) -> None:
    import torch

    exit_with_parent()
    report.quiet_libraries()
    told = {
        **dict.fromkeys(("RANK", "LOCAL_RANK"), number),
        **dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": threads,  # accelerate sets threads of its own where this is not said
    }
    os.environ.update({name: str(value) for name, value in told.items()})
    _place.update(number=number, of=processes)
    use_threads(threads)
    if torch.cuda.is_available():
        torch.cuda.set_device(number)
    try:
        answer = work(*args)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    except Exception as error:
        if not isinstance(error, InputError) and not is_out_of_memory(error):
            raise
        # torch's own may not travel.
        answers.put(error if isinstance(error, InputError) else MemoryError(str(error)))
        os._exit(1)  # the others are not waited for: they may be waiting for this one
    if number == 0:
        answers.put(answer)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
