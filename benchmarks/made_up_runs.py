"""Made-up DVC projects with many runs, for `compare_runs.py` and the tests; DVC runs nothing.

A project has what `dataselect compare` reads: commits with plan.json, dvc.lock and metrics, DVC's
names for experiments, and evaluations in DVC's cache.
"""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from dataselect.compare.outputs import cached_file, md5
from dataselect.data import tables
from dataselect.eval.summary import summary

TASKS = ("addition", "sorting")


@dataclass(frozen=True)
class MadeUp:
    """A run.

    Attributes:
        name: of the experiment.
        gain: what the method adds to every test's chance to be right.
        seed_gain: what this seed adds.
        tasks: name → tests.
        model: the base model's name.
        recipe: settings of training.
        contaminated: a task that metrics/eval.json calls so.
        not_judged: a task without scores.
        code: of every stage.
        before: of the model before training, what its gain is; None: it is not scored.
    """

    name: str
    method: str = "random"
    budget: int | str = 300
    seed: int = 0
    gain: float = 0.0
    seed_gain: float = 0.0
    tasks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TASKS, 100))
    model: str = "base"
    recipe: dict[str, Any] = field(default_factory=lambda: {"learning_rate": 1e-3})
    contaminated: str | None = None
    not_judged: str | None = None
    code: str = "c0de"
    before: float | None = None

    @property
    def base(self) -> MadeUp | None:
        """The model before training, as a run."""
        if self.before is None:
            return None
        return replace(self, method="base", seed=0, gain=self.before, seed_gain=0.0, before=None)

    def evaluation(self) -> pl.DataFrame:
        """The scores of its tests: those that are hard are hard for all runs."""
        frames = []
        for number, (task, tests) in enumerate(self.tasks.items()):
            hard = np.random.default_rng(number).uniform(size=tests)
            own = [number, self.seed, *self.method.encode()]
            noise = np.random.default_rng(own).normal(0, 0.1, tests)
            right = hard + noise < 0.4 + self.gain + self.seed_gain
            frame = pl.DataFrame({"id": [f"t{i}" for i in range(tests)]}).with_columns(
                task=pl.lit(task),
                value=None if task == self.not_judged else pl.Series(right, dtype=pl.Float64),
                answer_nll_nats=pl.Series(1 + hard + noise - self.gain - self.seed_gain),
            )
            frames.append(frame.cast({"value": pl.Float64}))
        given = {"metric": "exact_match", "output": "an output", "truncated": False}
        columns = tables.schema("evaluation")
        frame = pl.concat(frames).with_columns(pl.lit(v).alias(k) for k, v in given.items())
        lacking = [name for name in columns if name not in frame.columns]
        frame = frame.with_columns(pl.lit(None, columns[name]).alias(name) for name in lacking)
        return frame.select(list(columns))

    def label(self) -> dict[str, Any]:
        """What metrics/eval.json calls the run."""
        return {"method": self.method, "budget": self.budget, "seed": self.seed}

    def plan(self) -> dict[str, Any]:
        """Its plan.json: the sections in short."""
        model = {"name": self.model, "revision": None, "md5": "0123456789abcdef"}
        return {
            "dedup": {"pool": [{"path": "pool.jsonl", "md5": "aa"}], "code": self.code},
            "reference": {"reference": None, "budget": self.budget, "code": self.code},
            "embed": {"features": None, "model": model, "code": self.code},
            "score": {"scorer": {"name": self.method, "settings": {}}, "code": self.code},
            "aggregate": {"aggregator": "top", "budget": self.budget, "code": self.code},
            "train": {
                "model": model,
                "recipe": {**self.recipe, "seed": self.seed, "threads": 1},
                "code": self.code,
            },
            "baseline": {"code": "b"},
            "eval": {"model": model, "options": {"limit": None}, "run": self.label(), "code": "e"},
            "cost": {"passes": 1, "code": "c"},
        }

    def scores(self) -> dict[str, Any]:
        """Its metrics/eval.json."""
        found: dict[str, Any] = {"seconds": 3.0, "run": self.label()}
        found |= summary(self.evaluation())
        if self.contaminated:
            counts = {"tests": 100, "overlapping_tests": 12, "contaminated": True}
            found["tasks"][self.contaminated]["contamination"] = counts
            found["mean"]["contaminated_tasks"] = 1
        return found

    def files(self) -> dict[str, bytes]:
        """What its commit holds, by path."""
        cost = {
            "seconds": {"embed": 40.0, "train": 20.0, "baseline": 5.0, "eval": 7.0},
            "flops": {"tokens": {"selection": 6e12, "training": 2e12, "total": 8e12}},
        }
        params = {"method": self.method, "budget": self.budget, "seed": self.seed}
        found = {
            "plan.json": _json(self.plan()),
            "metrics/eval.json": _json(self.scores()),
            "metrics/cost.json": _json(cost),
            "params.yaml": yaml.safe_dump(params).encode(),
        }
        return {**found, "dvc.lock": yaml.safe_dump(self.lock(found), sort_keys=False).encode()}

    def lock(self, files: dict[str, bytes]) -> dict[str, Any]:
        """Its dvc.lock."""
        outs = {
            "dedup": {"out/pool.parquet": md5(b"pool")},
            "aggregate": {"out/train.jsonl": md5(self.name.encode())},
            "train": {"out/model": md5(f"model {self.name}".encode()) + ".dir"},
            "eval": {
                "metrics/eval.json": md5(files["metrics/eval.json"]),
                "out/evaluation.parquet": md5(self.parquet()),
            },
            "cost": {"metrics/cost.json": md5(files["metrics/cost.json"])},
        }
        if self.base:
            outs["baseline"] = {"out/baseline.parquet": md5(self.base.parquet())}
        deps = {
            "train": outs["aggregate"],
            "eval": outs["train"],
            "cost": {"metrics/eval.json": outs["eval"]["metrics/eval.json"]},
        }
        stages = {
            stage: {
                "cmd": f"python stages/{stage}.py",
                "params": {"plan.json": {stage: section}},
                "deps": _listed(deps.get(stage, {})),
                "outs": _listed(outs.get(stage, {})),
            }
            for stage, section in self.plan().items()
        }
        return {"schema": "2.0", "stages": stages}

    def parquet(self) -> bytes:
        """Its out/evaluation.parquet."""
        buffer = io.BytesIO()
        self.evaluation().write_parquet(buffer)
        return buffer.getvalue()


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _listed(sums: dict[str, str]) -> list[dict[str, str]]:
    return [{"path": path, "hash": "md5", "md5": digest} for path, digest in sums.items()]


def make_project(home: Path, head: MadeUp, experiments: Sequence[MadeUp]) -> None:
    """A git repository with a DVC project: a run committed on `main`, and experiments of it."""
    (home / ".dvc").mkdir(parents=True)
    (home / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    git(home, "init", "--quiet", "--initial-branch", "main")
    commit(home, [("refs/heads/main", head, None)])
    git(home, "reset", "--quiet", "--hard")
    add_experiments(home, experiments)
    keep(home, head)


def add_experiments(home: Path, experiments: Sequence[MadeUp]) -> None:
    """Experiments of HEAD, with their evaluations in the cache."""
    base = git(home, "rev-parse", "HEAD")
    folder = f"refs/exps/{base[:2]}/{base[2:]}"
    commit(home, [(f"{folder}/{run.name}", run, base) for run in experiments])
    for run in experiments:
        keep(home, run)


def commit(home: Path, runs: Sequence[tuple[str, MadeUp, str | None]]) -> None:
    """Commits with the files of runs: name of the reference, run, parent."""
    stream = b""
    for number, (reference, run, parent) in enumerate(runs):
        stream += f"commit {reference}\ncommitter a <a@invalid> {number + 1} +0000\n".encode()
        stream += b"data 3\nrun\n" + (f"from {parent}\n".encode() if parent else b"")
        for path, content in run.files().items():
            stream += f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n"
    subprocess.run(
        ["git", "fast-import", "--quiet", "--date-format=raw"], cwd=home, input=stream, check=True
    )


def keep(home: Path, run: MadeUp) -> Path:
    """Puts a run's evaluation, and its base model's, into DVC's cache; returns the first."""
    if run.base:
        keep(home, run.base)
    content = run.parquet()
    path = cached_file(home / ".dvc/cache/files/md5", md5(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def git(home: Path, *arguments: str) -> str:
    """What git prints in a folder."""
    done = subprocess.run(["git", *arguments], cwd=home, check=True, capture_output=True, text=True)
    return done.stdout.strip()
