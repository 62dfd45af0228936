"""…"""

from __future__ import annotations

import errno
import gc
import re
import resource

from dataselect.compute import Start, Work
from dataselect.errors import InputError

#: torch's words for it, of a GPU and of the machine's own memory.
OUT_OF_MEMORY_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error is that there was not enough memory, of a GPU or the machine's own."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in OUT_OF_MEMORY_MESSAGES
    )


def free_memory() -> None:
    """Gives memory that torch keeps for later back to the GPU."""
    import torch

    gc.collect()  # a model under accelerate is part of a cycle

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def memory_bytes(text: str) -> int:
    """`6GB` as a number of bytes.

    Raises:
        InputError: it is no such size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MB|GB|TB)", text)
    if not found or float(found[1]) == 0:
        raise InputError(
            "params.yaml: engine.local.memory: expected a size in MB, GB or TB, like `6GB`; found "
            f"{text!r}. Mend it there."
        )
    return int(float(found[1]) * {"MB": 1e6, "GB": 1e9, "TB": 1e12}[found[2]])


def with_memory_limit(most: int | None, start: Start) -> Work:
    """Starts a worker that may take so many bytes."""
    if most is not None:
        import torch

        if torch.cuda.is_available():
            whole = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, most / whole))
        else:
            least, hard = resource.getrlimit(resource.RLIMIT_DATA)
            others = [one for one in (least, hard) if one != resource.RLIM_INFINITY]
            resource.setrlimit(resource.RLIMIT_DATA, (min([most, *others]), hard))
    return start()
