"""Measures what OpenMP's waiting costs: embedding with idle cores, and beside a busy process.

    python benchmarks/threads.py

The demo's model and rows, with as many threads as there are cores, and OMP_WAIT_POLICY either
PASSIVE (threads sleep while they wait for each other: what the package sets) or not set (OpenMP's
default: they spin first); and with one thread. The busy process counts, and never waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from measuring import in_new_process, save_result, timed

ROOT = Path(__file__).parent.parent
ROWS = 2_000


def main() -> None:
    """Every policy with the cores idle, and with one of them busy."""
    cores = len(os.sched_getaffinity(0))
    cases = {
        "passive": {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(cores)},
        "default": {"OMP_NUM_THREADS": str(cores)},
        "one_thread": {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": "1"},
    }
    result: dict[str, Any] = {"rows": ROWS, "threads": cores}
    for load, processes in (("idle", 0), ("busy", 1)):
        with _busy(processes):
            result[load] = {name: _measure(variables) for name, variables in cases.items()}
    save_result("threads", result)


def _measure(variables: dict[str, str]) -> dict[str, Any]:
    before = dict(os.environ)
    os.environ.pop("OMP_WAIT_POLICY", None)
    os.environ.update(variables)  # a fresh process inherits it before torch is loaded
    try:
        return in_new_process("threads", "embed", rows=ROWS)
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _busy(processes: int) -> Generator[None]:
    started = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def embed(rows: int) -> dict[str, Any]:
    """The hidden states of the demo's first rows."""
    import torch  # noqa: F401  (before the package, which sets the policy where it is not set)

    from dataselect.compute import no_progress
    from dataselect.embed.hidden_states import hidden_states
    from dataselect.models.settings import ModelSettings

    model = ModelSettings(name=str(ROOT / "demo/base_model"), dtype="float32")
    pool = pl.read_parquet(ROOT / "demo/world/pool.parquet", columns=["messages"])
    sample = pool.head(rows)["messages"].to_list()
    featurizer = hidden_states().load(model, [])
    featurizer(sample[:32], "pool", no_progress)
    run: dict[str, Any] = {}
    with timed(run):
        featurizer(sample, "pool", no_progress)
    return run


if __name__ == "__main__":
    main()
