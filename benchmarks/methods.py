"""Runs several methods and seeds through the whole pipeline and keeps their scores and costs.

    python benchmarks/methods.py benchmarks/methods/demo.yaml [--workspace FOLDER] [--only METHOD …]

The settings hold changes of params.yaml and of methods.yaml, and the runs. Each run is a `dvc
repro` in the workspace, so that what two runs share is computed once and a killed benchmark
continues where it stopped; several may run side by side in several workspaces. The result is
`benchmarks/results/<name>.json`; the scores test by test are in `benchmarks/results/<name>/`, for

    dataselect compare benchmarks/results/<name>/*
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from filelock import FileLock

from dataselect.data import tables
from dataselect.eval.cost import read_metrics
from dataselect.eval.summary import summary
from dataselect.plan.params import read_yaml

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Runs what the settings file names, skipping what its result already holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--only", nargs="*", metavar="METHOD", help="run only these methods")
    arguments = parser.parse_args()
    name = arguments.settings.stem
    settings = read_yaml(arguments.settings)
    workspace = arguments.workspace or Path(tempfile.gettempdir()) / f"dataselect-{name}"
    prepare(workspace, settings.get("methods", {}))
    if "sample" in settings:
        settings["params"]["pool"]["path"] = str(sample(workspace, settings))
    result = ROOT / "benchmarks" / "results" / f"{name}.json"
    result.parent.mkdir(exist_ok=True)
    shared = {
        "params": read_yaml(arguments.settings)["params"],
        "sample": settings.get("sample"),
        "methods": settings.get("methods"),
    }
    for method, seeds in settings["runs"].items():
        if arguments.only and method not in arguments.only:
            continue
        for seed in seeds:
            runs = saved_runs(result, shared)
            if any((run["method"], run["seed"]) == (method, seed) for run in runs):
                continue
            without = settings.get("leave_out", {}).get(method, [])
            run = measure(workspace, settings["params"], method, seed, without)
            keep_evaluation(workspace, result.with_suffix("") / f"{method}-{seed}")
            save_run(result, shared, run)
    show(saved_runs(result, shared))


def saved_runs(result: Path, shared: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs in a result file; ends the program if the file's settings are not these."""
    if not result.exists():
        return []
    saved = json.loads(result.read_text())
    if any(saved.get(name) != value for name, value in shared.items()):
        sys.exit(f"{result}: made with other settings. Move it away to start again.")
    return saved["runs"]


def save_run(result: Path, shared: dict[str, Any], run: dict[str, Any]) -> None:
    """Adds a run to the result file; another process may be adding its own."""
    with FileLock(Path(tempfile.gettempdir()) / f"{result.name}.lock"):
        text = {**shared, "runs": [*saved_runs(result, shared), run]}
        result.write_text(json.dumps(text, indent=1) + "\n")


def sample(workspace: Path, settings: dict[str, Any]) -> Path:
    """A seeded sample of the pool's rows, in the pool's order, for slow machines."""
    pool = pl.read_parquet(ROOT / settings["params"]["pool"]["path"]).with_row_index("place")
    rows = pool.sample(settings["sample"]["rows"], seed=settings["sample"]["seed"]).sort("place")
    path = workspace / "sample.parquet"
    rows.drop("place").write_parquet(path)
    return path.resolve()


def merged(changes: dict[str, Any]) -> dict[str, Any]:
    """params.yaml with a benchmark's changes."""
    params = read_yaml(ROOT / "params.yaml")
    for name, value in changes.items():
        blocks = isinstance(value, dict) and isinstance(params.get(name), dict)
        params[name] = {**params[name], **value} if blocks else value
    return params


def prepare(workspace: Path, methods: dict[str, Any]) -> None:
    """A copy of the project as git has it, with some methods changed; a DVC cache of its own."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in listed.splitlines():
        if name.startswith(("tests/", "benchmarks/")) or name == "dvc.lock":
            continue
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, workspace / name)
    path = workspace / "methods.yaml"
    changed = {**read_yaml(path), **copy.deepcopy(methods)}
    for method in changed.values():
        if "name" in method.get("model", {}):
            method["model"]["name"] = located(method["model"]["name"])
    path.write_text(yaml.safe_dump(changed, sort_keys=False, allow_unicode=True))
    if not (workspace / ".git").exists():
        git = ["git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@invalid"]
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "benchmark"]):
            subprocess.run([*git, *command], cwd=workspace, check=True)


def located(name: str) -> str:
    """The path of a file or model: in a package (`package:name/folder`), the project, or as is."""
    if name.startswith("package:"):
        package, folder = name.removeprefix("package:").split("/", 1)
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            sys.exit(f"{name}: the package is not installed. `make setup` installs it.")
        return str(Path(found.origin).parent / folder)
    return str((ROOT / name).resolve()) if (ROOT / name).exists() else name


def measure(
    workspace: Path, changes: dict[str, Any], method: str, seed: int, without: list[str]
) -> dict[str, Any]:
    """Runs the pipeline for one method and seed; its scores, costs and rows per source.

    Args:
        without: ids of queries to leave out, as the method cannot use them.
    """
    write_params(workspace, changes, method, seed, without)
    reproduce(workspace)
    baseline = tables.read("evaluation", workspace / "out/baseline.parquet")
    selection = pl.read_parquet(workspace / "out/selection.parquet")
    return {
        "method": method,
        "seed": seed,
        "scores": read_metrics("eval", workspace),
        "before": summary(baseline) if baseline.height else None,
        "train": read_metrics("train", workspace),
        "cost": read_metrics("cost", workspace),
        "rows_per_source": dict(selection["source"].value_counts(sort=True).rows()),
    }


def write_params(
    workspace: Path, changes: dict[str, Any], method: str, seed: int, without: list[str]
) -> None:
    """Writes the params.yaml of a run into the workspace."""
    params = merged(changes)
    for block, key in (("pool", "path"), ("queries", "path"), ("tests", "path"), ("model", "name")):
        params[block][key] = located(str(params[block][key]))
    if without:
        rows = pl.read_parquet(params["queries"]["path"]).filter(~pl.col("id").is_in(without))
        params["queries"]["path"] = str((workspace / "queries.parquet").resolve())
        rows.write_parquet(params["queries"]["path"])
    params.update(method=method, seed=seed)
    (workspace / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    print(f"{method}, seed {seed}", flush=True)  # noqa: T201


def reproduce(workspace: Path, *targets: str) -> None:
    """Runs `dvc repro` in the workspace, with its own copy of the code.

    So edits of the project during the run change nothing.

    Args:
        targets: the stages to end with; none: all.
    """
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(workspace / "src"),
    }
    subprocess.run(["dvc", "repro", *targets], cwd=workspace, check=True, env=environment)


def keep_evaluation(workspace: Path, folder: Path) -> None:
    """Keeps what `dataselect compare` reads of a run, and the chosen rows.

    Scores test by test, without the outputs; the places of rows in `out/pool.parquet`.

    Args:
        folder: what the run is kept in; a run that is there is replaced.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "metrics").mkdir(parents=True)
    for name in ("evaluation", "baseline"):
        frame = tables.read("evaluation", workspace / f"out/{name}.parquet")
        # Six digits of a loss are far more than another machine would repeat.
        small = frame.with_columns(
            pl.lit(None, frame.schema[column]).alias(column)
            for column in ("output", "other_metrics")
        ).with_columns(pl.col("answer_nll_nats").round(6))
        if frame.height:
            small.write_parquet(folder / f"{name}.parquet", compression="zstd", statistics=False)
    selection = pl.read_parquet(workspace / "out/selection.parquet", columns=["rank", "row"])
    selection.write_parquet(folder / "selection.parquet", compression="zstd", statistics=False)
    for name in ("eval.json", "cost.json"):
        shutil.copyfile(workspace / "metrics" / name, folder / "metrics" / name)


def show(runs: list[dict[str, Any]]) -> None:
    """Prints the mean score and loss of every run."""
    for run in runs:
        mean = run["scores"]["mean"]
        print(  # noqa: T201
            f"{run['method']:24} seed {run['seed']}  score {mean['score']:.4f}  "
            f"loss {mean['answer_nll_nats']:.4f}"
        )


if __name__ == "__main__":
    main()
