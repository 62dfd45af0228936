"""dataselect: choose the instruction rows that teach a language model your task."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataselect.api import Selection, select
    from dataselect.errors import InputError

__version__ = "0.1.0"

# OpenMP's threads sleep while they wait for each other, and do not spin: spinning takes the cores
# from whatever else runs. OpenMP reads this once, when torch is loaded; so it stands here, before
# anything of ours, in every stage and every worker.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# oneDNN, which multiplies in bfloat16 on a processor, compiles code for every shape of a batch and
# keeps it: of 1,024 shapes by default, some 6 MB each, in each of two caches. Rows come sorted by
# length, so few shapes are used again; the memory stays flat, and the time is the same.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")

# Arrow's allocator takes a GiB at its first use, which a limit on memory counts whether it is
# touched or not. So it only reserves it.
os.environ.setdefault("MIMALLOC_ARENA_EAGER_COMMIT", "0")

__all__ = ["InputError", "Selection", "select"]

#: The Python API: name → module. Each is imported when it is first used, since that takes seconds.
_MODULES = {"select": "api", "Selection": "api", "InputError": "errors"}


def __getattr__(name: str) -> Any:
    """A name of the Python API."""
    if name not in _MODULES:
        raise AttributeError(f"module 'dataselect' has no attribute '{name}'")
    return getattr(importlib.import_module(f"dataselect.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
