"""How long `dataselect compare` takes on 50 made-up runs of 7 tasks with 1,000 tests each.

python benchmarks/compare_runs.py
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from made_up_runs import MadeUp, make_project
from measuring import RESULTS

#: As many settings as dvc.lock of the demo has lines, so that reading it takes as long.
RECIPE = {f"setting{number}": number for number in range(300)}
TASKS = {f"task{number}": 1_000 for number in range(7)}


def main() -> None:
    """Measures the whole command, process and all."""
    shared: dict[str, Any] = {"tasks": TASKS, "recipe": RECIPE}
    runs = [
        MadeUp(f"{method}-{budget}-{seed}", method, budget, seed, gain=0.01 * number, **shared)
        for number, method in enumerate(["random", "rds", "less", "ifd"])
        for budget in (100, 300, 1_000, 3_000)
        for seed in range(3)
    ]
    runs += [MadeUp(f"s2l-300-{seed}", "s2l", 300, seed, **shared) for seed in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "project"
        make_project(home, runs[0], runs)
        measured: dict[str, Any] = {"runs": len(runs), "tests": sum(TASKS.values())}
        for arguments in ([], ["--per-task"], ["--json"]):
            command = [sys.executable, "-m", "dataselect.cli", "compare", *arguments]
            start, before = time.monotonic(), processor_seconds()
            subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)
            seconds, busy = time.monotonic() - start, processor_seconds() - before
            label = " ".join(["compare", *arguments])
            measured[label] = {"seconds": round(seconds, 1), "processor_seconds": round(busy, 1)}
            print(f"{label}: {measured[label]}")  # noqa: T201
    (RESULTS / "compare_runs.json").write_text(json.dumps(measured, indent=1) + "\n")


def processor_seconds() -> float:
    """What processes that have ended have taken so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
