"""Measures how far the estimate is from what a run then takes, on the demo.

    python benchmarks/estimate.py [--workspace FOLDER] [--methods rds,s2l]

For each method: the estimate, and then the run, in a workspace where nothing has been computed. Of
every stage that both name: seconds, FLOPs and bytes, and estimate over run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from measuring import save_result
from methods import prepare

from dataselect.eval.cost import read_metrics
from dataselect.plan.params import read_yaml

METHODS = ("rds", "ifd_base")
ESTIMATE = """
import json, tempfile
from pathlib import Path
from dataselect.plan import estimate
printed = []
estimate.show = lambda costs, rows, measured: printed.append(costs)
estimate.main()
Path("estimate.json").write_text(json.dumps({k: v._asdict() for k, v in printed[0].items()}))
"""


def main() -> None:
    """Every method, estimated and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--methods", default=",".join(METHODS))
    arguments = parser.parse_args()
    workspace = arguments.workspace or Path(tempfile.mkdtemp(prefix="dataselect-"))
    prepare(workspace, {})
    params = read_yaml(workspace / "params.yaml")
    params["eval"]["limit"] = 1
    runs = []
    for method in arguments.methods.split(","):
        shutil.rmtree(workspace / ".dvc/tmp/scratch", ignore_errors=True)
        (workspace / "params.yaml").write_text(yaml.safe_dump({**params, "method": method}))
        runs += compare(workspace, method)
        save_result("estimate", {"runs": runs})


def compare(workspace: Path, method: str) -> list[dict[str, Any]]:
    """A line per stage: the estimate, and the run."""
    environment = {**os.environ, "PYTHONPATH": str(workspace / "src"),
                   "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # fmt: skip
    for command in ([sys.executable, "-c", ESTIMATE], ["dvc", "repro"]):
        subprocess.run(command, cwd=workspace, check=True, env=environment)
    estimates = json.loads((workspace / "estimate.json").read_text())
    cost = read_metrics("cost", workspace)
    lines = []
    for stage, estimate in estimates.items():
        run = {"seconds": cost["seconds"][stage],
               "flops": read_metrics(stage, workspace).get("flops", 0.0),
               "bytes": cost["bytes"][stage]}  # fmt: skip
        times = {unit: round(estimate[unit] / run[unit], 2) for unit in run if run[unit]}
        lines.append({"method": method, "stage": stage, "estimate": estimate, "run": run,
                      "times": times})  # fmt: skip
        print(lines[-1], flush=True)  # noqa: T201
    return lines


if __name__ == "__main__":
    main()
