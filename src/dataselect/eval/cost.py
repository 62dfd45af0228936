"""What a run cost: seconds and bytes of every stage, and FLOPs from the real tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataselect.models.settings import ModelSettings
from dataselect.settings import Part

#: What each stage writes.
STAGE_OUTPUTS = {
    "dedup": (
        "out/pool.parquet",
        "out/dropped.parquet",
        "out/contamination.parquet",
        "out/queries.parquet",
        "out/tests.parquet",
    ),
    "reference": ("out/reference",),
    "embed": ("out/features",),
    "score": ("out/scores.parquet", "out/groups.parquet"),
    "aggregate": (
        "out/selection.parquet",
        "out/selected_contamination.parquet",
        "out/train.jsonl",
    ),
    "train": ("out/model",),
    "baseline": ("out/baseline.parquet", "out/baseline_judged"),
    "eval": ("out/evaluation.parquet", "out/judged"),
}


@dataclass(frozen=True)
class CostSection:
    """The plan's section `cost`: what the published formulas need to know of a run.

    Attributes:
        selector: the model that measures the pool; None where no model does.
        reference: how the selector is fitted first, if it is.
        trained: the model that is trained.
        passes: models that each measure the whole pool: several for a trajectory.
        code: the hash of the code that adds up.
    """

    selector: ModelSettings | None
    reference: Part | None
    trained: ModelSettings
    passes: int
    code: str


def cost(home: Path = Path()) -> dict[str, Any]:
    """Adds up what the run in a folder took, from `metrics/<stage>.json` and the sizes of outputs.

    Returns:
        `seconds` by stage, of the last time that it was computed, on whatever machine; None where
        it was not noted. `bytes` of its outputs. `flops`: `tokens`, those of selection, training
        and both, counted from the real tokens.
    """
    metrics = {name: read_metrics(name, home) for name in STAGE_OUTPUTS}
    selection = sum(metrics[name].get("flops", 0.0) for name in ("reference", "embed"))
    return {
        "seconds": {name: metrics[name].get("seconds") for name in STAGE_OUTPUTS},
        "bytes": {
            name: sum(_bytes(home / path) for path in paths)
            for name, paths in STAGE_OUTPUTS.items()
        },
        "flops": {"tokens": with_total(selection, metrics["train"].get("flops", 0.0))},
    }


def read_metrics(stage: str, home: Path = Path()) -> dict[str, Any]:
    """What a stage noted in `metrics/<stage>.json`; nothing where it has not run."""
    path = home / "metrics" / f"{stage}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def with_total(selection: float, training: float) -> dict[str, float]:
    """FLOPs of selection and training, and of both."""
    return {"selection": selection, "training": training, "total": selection + training}


def _bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 where there is neither."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size if path.exists() else 0
