"""How long `dataselect compare` takes on 50 made-up runs of 7 tasks with 1,000 tests each.

python benchmarks/compare_runs.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from made_up_runs import MadeUp, make_project

#: As many settings as dvc.lock of the demo has lines, so that reading it takes as long.
RECIPE = {f"setting{number}": number for number in range(300)}
TASKS = {f"task{number}": 1_000 for number in range(7)}


def main() -> None:
    """Prints the seconds of the whole command, process and all."""
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
        for arguments in ([], ["--per-task"], ["--json"]):
            command = [sys.executable, "-m", "dataselect.cli", "compare", *arguments]
            start, before = time.monotonic(), processor_seconds()
            subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)
            seconds, busy = time.monotonic() - start, processor_seconds() - before
            print(  # noqa: T201
                f"compare {' '.join(arguments)}: {len(runs)} runs in {seconds:.1f} s, {busy:.1f} s "
                "of a processor"
            )


def processor_seconds() -> float:
    """What processes that have ended have taken so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
