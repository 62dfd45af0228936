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


def in_new_process(module: str, case: str, **arguments: Any) -> dict[str, Any]:
    """Calls a function of a benchmark in a fresh process, so that one's peak is not another's.

    Args:
        module: the benchmark's file, without `.py`.
        case: the function; it returns a dict.
        arguments: what JSON can hold.

    Returns:
        What it returns, and `peak_mb`: the most memory that the process held.
    """
    call = f"_run_case({module!r}, {case!r}, {json.dumps(arguments)!r})"
    code = f"from measuring import _run_case; {call}"
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    result = json.loads(done.stdout.splitlines()[-1])
    print(f"{module} {case} {arguments}: {result}", flush=True)  # noqa: T201
    return result


def _run_case(module: str, case: str, arguments: str) -> None:
    result = getattr(importlib.import_module(module), case)(**json.loads(arguments))
    print(json.dumps({**result, "peak_mb": peak_mb()}))  # noqa: T201


def peak_mb() -> int:
    """The most memory that this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # `getrusage` counts what the parent held before the process began
        lines = status.read_text().splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM"))
        return round(int(peak.split()[1]) * 1024 / 1e6)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


@contextmanager
def timed(result: dict[str, Any], name: str = "seconds") -> Generator[None]:
    """Notes in `result` how long a block took, and (as `cpu_…`) its processor time."""
    start, cpu = time.perf_counter(), time.process_time()
    yield
    result[name] = round(time.perf_counter() - start, 3)
    result[f"cpu_{name}"] = round(time.process_time() - cpu, 3)


def best_of(
    times: int, work: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> float:
    """The seconds of the fastest of some runs: what the machine can do when nothing disturbs."""
    seconds = []
    for _ in range(times):
        start = clock()
        work()
        seconds.append(clock() - start)
    return min(seconds)


def machine() -> dict[str, Any]:
    """The cores and the processor that a figure was measured on."""
    words = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in words if line.startswith("model name")]
    return {"cores": os.cpu_count(), "processor": names[0] if names else None}


def save_result(name: str, result: dict[str, Any]) -> None:
    """Writes a benchmark's result to `benchmarks/results/<name>.json`, with the machine."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), **result}, indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(text)


@contextmanager
def temporary_folder() -> Generator[Path]:
    """A folder for made-up data, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="dataselect-") as name:
        yield Path(name)
