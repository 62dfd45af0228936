"""A finished run to export, made by the stages' scripts in this process."""

import hashlib
import json
import runpy

import yaml

from tests.helpers import POOL, ROOT, change

STAGES = ("plan", "dedup", "reference", "embed", "score", "aggregate")
LICENCES = ["MIT", "apache-2.0", None]
SOURCES = ["books", "a|b\nc"]
CHOSEN = 7


def make_run(home):
    """Runs the stages in the working directory, a user's folder: rows with sources and licences."""
    rows = [
        {**row, "source": SOURCES[i % 2], "license": LICENCES[i % 3]} for i, row in enumerate(POOL)
    ]
    (home / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    change({"pool": {"path": "pool.jsonl", "keep": ["license"]}, "budget": CHOSEN})
    for name in STAGES:
        runpy.run_path(str(ROOT / "stages" / f"{name}.py"), run_name="__main__")


def write_lock(home):
    """dvc.lock as DVC writes it of the run: the sections, and the hashes of the outputs."""
    plan = json.loads((home / "plan.json").read_text())
    stages = {name: {"params": {"plan.json": {name: plan[name]}}} for name in STAGES[1:]}
    for stage, name in {"dedup": "pool.parquet", "aggregate": "selection.parquet"}.items():
        md5 = hashlib.md5((home / "out" / name).read_bytes()).hexdigest()
        stages[stage]["outs"] = [{"path": f"out/{name}", "md5": md5}]
    stages["embed"]["outs"] = [{"path": "out/features", "md5": "0123.dir"}]
    (home / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
