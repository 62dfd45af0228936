"""Memory that runs out, and limits on it."""

from __future__ import annotations

import errno
import gc
import os
import re
import resource
import shutil
import subprocess
from importlib.metadata import version

from dataselect.compute import StartWorker, Work
from dataselect.errors import InputError
from dataselect.machine import GPU_DEVICES, machine_memory

#: What torch says when the machine's own memory is not enough; accelerate knows the GPU's messages.
CPU_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")

#: oneDNN's, where there is no memory for the code of a product; whole, since it goes on with
#: "descriptor" where a processor cannot do what is asked.
NO_PRIMITIVE = "could not create a primitive"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there was not enough memory, of a GPU or of the machine."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    if type(error).__name__ == "OutOfMemoryException":  # DuckDB's, which is not loaded everywhere
        return True
    if not isinstance(error, RuntimeError):
        return False
    from accelerate.utils.memory import should_reduce_batch_size

    text = str(error)
    if text == NO_PRIMITIVE or any(message in text for message in CPU_MESSAGES):
        return True
    return should_reduce_batch_size(error)


def device_memory() -> float:
    """The bytes of this process's GPU; of the machine where torch sees none."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
    return machine_memory()


def gpu_memories() -> list[float] | None:
    """The bytes of every visible GPU, without torch; None where there may be GPUs that no
    `nvidia-smi` describes.
    """
    if version("torch").endswith("+cpu"):
        return []
    command = shutil.which("nvidia-smi")
    if command is None:
        return None if any(path.exists() for path in GPU_DEVICES) else []
    query = [command, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    try:
        sizes = [float(line) * 2**20 for line in done.stdout.split()]
    except (ValueError, IndexError):  # `[N/A]`, or GPUs that are named otherwise
        return None
    return _visible(sizes)


def _visible(sizes: list[float]) -> list[float] | None:
    """The GPUs of CUDA_VISIBLE_DEVICES; None where CUDA may number them otherwise."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return sizes
    numbers = []
    for text in listed.split(","):
        if not re.fullmatch(r"\s*\d+\s*", text):  # `-1` and the like end the list
            break
        numbers.append(int(text))
    if not numbers and not re.match(r"\s*(-|$)", listed):  # names of GPUs
        return None
    by_speed = os.environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID"
    if by_speed and len(set(sizes)) > 1:  # nvidia-smi lists them by their place
        return None
    return [sizes[number] for number in numbers if number < len(sizes)]


def free_memory() -> None:
    """Returns the GPU memory that torch keeps for later."""
    import torch

    gc.collect()  # a model under accelerate is part of a cycle
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def memory_bytes(text: str, where: str) -> int:
    """`6GB` as a number of bytes.

    Args:
        where: the setting in params.yaml, for the message.

    Raises:
        InputError: it is not such a size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MB|GB|TB)", text)
    if not found or float(found[1]) == 0:
        raise InputError(
            f"params.yaml: {where}: expected a size in MB, GB or TB, like `6GB`; found {text!r}. "
            "Fix it there."
        )
    return int(float(found[1]) * {"MB": 1e6, "GB": 1e9, "TB": 1e12}[found[2]])


def with_memory_limit(limit: int | None, start: StartWorker) -> Work:
    """Starts a worker that may use at most `limit` bytes."""
    if limit is not None:
        import torch

        if torch.cuda.is_available():
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total))
        else:
            soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
            present = [value for value in (soft, hard) if value != resource.RLIM_INFINITY]
            resource.setrlimit(resource.RLIMIT_DATA, (min([limit, *present]), hard))
    return start()
