"""Chooses rows in float32 and in bfloat16: how many of them are the same.

    python benchmarks/precision.py benchmarks/methods/sample.yaml --workspace FOLDER [--only NAME …]

The settings are those of `benchmarks/methods.py`, whose workspace can be used: what it holds in
float32 is not computed again. A killed benchmark continues where it stopped. The result is
`benchmarks/results/precision.json`.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import polars as pl
from measuring import RESULTS, machine
from methods import prepare, reproduce, sample, write_params

from dataselect.plan.params import read_yaml

DTYPES = ("float32", "bfloat16")
#: No model reads rows for these.
WITHOUT_MODEL = ("random", "random_balanced", "longest")


def main() -> None:
    """Runs each method once in each type, with the first of its seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--only", nargs="*", metavar="NAME", help="only these methods")
    arguments = parser.parse_args()
    settings = read_yaml(arguments.settings)
    prepare(arguments.workspace, settings["methods"])
    settings["params"]["pool"]["path"] = str(sample(arguments.workspace, settings))
    path = RESULTS / "precision.json"
    for method, seeds in settings["runs"].items():
        result = json.loads(path.read_text()) if path.exists() else {"machine": machine()}
        result |= {"sample": settings["sample"], "budget": settings["params"]["budget"]}
        methods = result.setdefault("methods", {})
        if method in {*methods, *WITHOUT_MODEL} or method not in (arguments.only or [method]):
            continue
        methods[method] = compare(arguments.workspace, settings, method, seeds[0])
        path.write_text(json.dumps(result, indent=1) + "\n")


def compare(workspace: Path, settings: dict[str, Any], method: str, seed: int) -> dict[str, int]:
    """How many rows are chosen, and how many of them in both types."""
    chosen = {}
    without = settings.get("leave_out", {}).get(method, [])
    for dtype in DTYPES:
        changes = copy.deepcopy(settings["params"])
        changes["model"]["dtype"] = dtype
        write_params(workspace, changes, method, seed, without)
        reproduce(workspace, "aggregate")
        chosen[dtype] = set(pl.read_parquet(workspace / "out/selection.parquet")["row"])
    same = len(chosen["float32"] & chosen["bfloat16"])
    return {"rows": len(chosen["float32"]), "same_rows": same}


if __name__ == "__main__":
    main()
