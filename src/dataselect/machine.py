"""The processor cores and the memory that this process may use, and GPUs: without any library."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path, PurePosixPath

#: Limits of the outermost control group: version 2, and 1. Those of a group inside lie below.
CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

#: The control groups that this process is in.
OWN_GROUPS = Path("/proc/self/cgroup")

#: What a machine with GPUs has: NVIDIA's, and AMD's.
GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_memory() -> float:
    """The bytes of memory that this process may use: the machine's, or less where it is limited.

    Limits are those of its control group (cgroup) and the groups around it, and the `ulimit`s of
    its data (-d) and of its addresses (-v).
    """
    limits = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for path in (top.parent / group / top.name for top in CGROUP_LIMITS for group in _groups()):
        with contextlib.suppress(OSError, ValueError):  # `max` where there is no limit
            limits.append(float(int(path.read_text())))
    for kind in (resource.RLIMIT_DATA, resource.RLIMIT_AS):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            limits.append(float(soft))
    return min(limits)


def _groups() -> list[PurePosixPath]:
    """The control groups of memory that this process is in, from the outermost's folder on."""
    groups = {PurePosixPath(): None}
    with contextlib.suppress(OSError):
        for line in OWN_GROUPS.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if not kinds or "memory" in kinds.split(","):  # version 2 names no kinds
                group = PurePosixPath(path.lstrip("/"))
                groups |= dict.fromkeys([group, *group.parents])
    return list(groups)
