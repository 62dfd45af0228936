"""What the benchmarks share: each case in a process of its own, its seconds and its peak memory."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def apart(module: str, case: str, **given: Any) -> dict[str, Any]:
    """Calls a function of a benchmark in a fresh process, so that one's peak is not another's.

    Returns:
        What it returns, with the most memory that the process ever held (`peak_mb`).
    """
    code = f"from measuring import _one; _one({module!r}, {case!r}, {json.dumps(given)!r})"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    print(f"{module} {case} {given}: {answer}", flush=True)  # noqa: T201
    return answer


def _one(module: str, case: str, given: str) -> None:
    answer = getattr(importlib.import_module(module), case)(**json.loads(given))
    print(json.dumps({**answer, "peak_mb": peak_mb()}))  # noqa: T201


def peak_mb() -> int:
    """The most memory that this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # what `getrusage` says begins with what the parent held
        line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return round(int(line.split()[1]) * 1024 / 1e6)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


@contextmanager
def timed(into: dict[str, Any], name: str = "seconds") -> Generator[None]:
    """Notes how long a block took, and (as `cpu_…`) how much of the processor."""
    start, cpu = time.perf_counter(), time.process_time()
    yield
    into[name] = round(time.perf_counter() - start, 3)
    into[f"cpu_{name}"] = round(time.process_time() - cpu, 3)


def best_of(times: int, work: Callable[[], Any]) -> float:
    """The seconds of the fastest of some runs: what the machine can do when nothing disturbs."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def machine() -> dict[str, Any]:
    """What a figure was measured on."""
    words = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in words if line.startswith("model name")]
    return {"cores": os.cpu_count(), "processor": names[0] if names else None}


def keep(name: str, result: dict[str, Any]) -> None:
    """Writes a benchmark's result."""
    RESULTS.mkdir(exist_ok=True)
    whole = {"machine": machine(), **result}
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")


@contextmanager
def folder() -> Generator[Path]:
    """A folder for made-up data, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="dataselect-") as name:
        yield Path(name)
