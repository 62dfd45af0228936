"""Measures how far the estimate is from what a run then takes, on the demo.

    python benchmarks/estimate.py [--workspace FOLDER] [--methods rds,s2l]

For each method: the estimate, and then the run, in a workspace where nothing has been computed. Of
every stage that both name, seconds, FLOPs and bytes, and how many times too high the estimate was.
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
from measuring import keep
from methods import prepare

METHODS = ("rds", "ifd_base")
ESTIMATE = """
import json, tempfile
from pathlib import Path
from dataselect import estimate
taken = []
estimate.show = lambda of, rows, measured: taken.append(of)
estimate.main()
Path("estimate.json").write_text(json.dumps({k: v._asdict() for k, v in taken[0].items()}))
"""


def main() -> None:
    """Every method, estimated and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--methods", default=",".join(METHODS))
    given = parser.parse_args()
    workspace = given.workspace or Path(tempfile.mkdtemp(prefix="dataselect-"))
    prepare(workspace, {})
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    params["eval"]["limit"] = 1
    runs = []
    for method in given.methods.split(","):
        shutil.rmtree(workspace / ".dvc/tmp/scratch", ignore_errors=True)
        (workspace / "params.yaml").write_text(yaml.safe_dump({**params, "method": method}))
        runs += compare(workspace, method)
        keep("estimate", {"runs": runs})


def compare(workspace: Path, method: str) -> list[dict[str, Any]]:
    """A line a stage: what was estimated, and what it was."""
    environment = {**os.environ, "PYTHONPATH": str(workspace / "src"),
                   "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # fmt: skip
    for command in ([sys.executable, "-c", ESTIMATE], ["dvc", "repro"]):
        subprocess.run(command, cwd=workspace, check=True, env=environment)
    told = json.loads((workspace / "estimate.json").read_text())
    cost = json.loads((workspace / "metrics/cost.json").read_text())
    flops = {name: json.loads((workspace / f"metrics/{name}.json").read_text())[name].get("flops")
             for name in ("reference", "embed", "train")}  # fmt: skip
    lines = []
    for stage, one in told.items():
        was = {"seconds": cost["seconds"][stage], "flops": flops.get(stage) or 0.0,
               "bytes": cost["bytes"][stage]}  # fmt: skip
        over = {of: round(one[of] / was[of], 2) for of in was if was[of]}
        lines.append({"method": method, "stage": stage, "estimate": one, "run": was, "times": over})
        print(lines[-1], flush=True)  # noqa: T201
    return lines


if __name__ == "__main__":
    main()
