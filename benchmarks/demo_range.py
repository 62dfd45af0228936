"""How far the demo's scores move with the number of threads and the precision.

    python benchmarks/demo_range.py [--workspace FOLDER]

One method and seed, whose selected rows stay the same: only the last bits of training differ, as
they do between two processors. Each run is a `dvc repro`; the result is
`benchmarks/results/demo_range.json`, and what it holds already is not run again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from measuring import RESULTS, save_result
from methods import measure, prepare

METHOD, SEED = "rds", 0
THREADS, PRECISIONS = (1, 2), ("float32", "bfloat16")


def main() -> None:
    """Runs every number of threads with every precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path)
    folder = Path(tempfile.gettempdir()) / "dataselect-demo-range"
    workspace = parser.parse_args().workspace or folder
    prepare(workspace, {})
    path = RESULTS / "demo_range.json"
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    for threads in THREADS:
        for precision in PRECISIONS:
            setting = {"threads": threads, "dtype": precision}
            if any(run["train"] == setting for run in runs):
                continue
            runs.append({"train": setting, **scores(workspace, setting)})
            save_result("demo_range", {"method": METHOD, "seed": SEED, "runs": runs})


def scores(workspace: Path, train: dict[str, Any]) -> dict[str, Any]:
    """The scores of a run with these changes of `train`: the mean, and each task's."""
    run = measure(workspace, {"train": train}, METHOD, SEED, [])["scores"]
    tasks = {name: task["score"] for name, task in run["tasks"].items()}
    return {"mean": run["mean"]["score"], "tasks": tasks}


if __name__ == "__main__":
    main()
