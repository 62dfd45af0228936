"""The same function on all GPUs of this machine at once: training, split up by accelerate."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Literal

from dataselect import report
from dataselect.engines.local import end_with_parent
from dataselect.errors import InputError
from dataselect.model import use_threads
from dataselect.settings import Count

#: Processes to train with; `auto`: one for each GPU.
Processes = Count | Literal["auto"]


def count(asked: Processes, parts: int) -> int:
    """How many processes share a step that has so many parts: as many as divide it."""
    if asked == "auto":
        import torch

        asked = max(1, torch.cuda.device_count())
    return max(number for number in range(1, asked + 1) if parts % number == 0)


def run(processes: int, work: Callable[..., Any], *args: Any) -> Any:
    """Calls a function in so many processes that torch.distributed joins; what the first returns.

    Each has a GPU of its own where there are any, else its share of the threads. One is this
    process.

    Args:
        work: a module's function; it, its arguments and what it returns travel between processes.

    Raises:
        InputError: that of a process; or one was killed.
    """
    if processes == 1:
        return work(*args)
    import torch
    from torch.multiprocessing import get_context
    from torch.multiprocessing.spawn import ProcessExitedException, spawn

    answers = get_context("spawn").SimpleQueue()
    threads = max(1, torch.get_num_threads() // processes)
    try:
        spawn(_rank, (processes, _free_port(), threads, answers, work, args), nprocs=processes)
    except ProcessExitedException as error:
        if not answers.empty():
            raise answers.get() from None
        raise InputError(
            f"a training process ended by itself (exit status {error.exit_code}); the system may "
            "have run out of memory. Run again: it goes on from the last checkpoint. Lower "
            "`train.micro_batch_size` or `train.processes` if need be."
        ) from None
    return answers.get()


def world() -> int:
    """How many processes share the work that this one is a part of."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Whether this is the process that shows progress and writes what all have done."""
    return os.environ.get("RANK", "0") == "0"


def _rank(
    number: int, processes: int, port: int, threads: int, answers: Any, work: Any, args: Any
) -> None:
    import torch

    end_with_parent()
    report.quiet_libraries()
    told = {
        **dict.fromkeys(("RANK", "LOCAL_RANK"), number),
        **dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    os.environ.update({name: str(value) for name, value in told.items()})
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())
    else:
        use_threads(threads)
    try:
        answer = work(*args)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    except InputError as error:
        answers.put(error)
        raise SystemExit(1) from None
    if number == 0:
        answers.put(answer)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
