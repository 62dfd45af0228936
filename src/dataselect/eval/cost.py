"""What a run cost: seconds and bytes a stage, and FLOPs by three ways of counting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from dataselect.data import tables
from dataselect.stage import record

#: What each stage leaves.
STAGE_OUTPUTS = {
    "dedup": (
        "out/pool.parquet",
        "out/dropped.parquet",
        "out/queries.parquet",
        "out/tests.parquet",
    ),
    "reference": ("out/reference",),
    "embed": ("out/features",),
    "score": ("out/scores.parquet", "out/groups.parquet"),
    "aggregate": ("out/selection.parquet", "out/train.jsonl"),
    "train": ("out/model",),
}


class RunSize(NamedTuple):
    """What the published formulas ask of a run.

    Attributes:
        looker, trained: parameters of the model that looks at rows, and of the one that is trained.
        look_tokens, train_tokens: L, the most tokens of a row, for either.
        pool, rows, epochs: P rows in the pool, D selected, and how often training sees them.
        forward: whether a model looked at the pool at all.
    """

    looker: int
    trained: int
    look_tokens: int
    train_tokens: int
    pool: int
    rows: int
    epochs: float
    forward: bool


def cost() -> dict[str, Any]:
    """Seconds, bytes and FLOPs of the run in the working directory.

    Seconds are of the last time that a stage was computed; null where that was on another machine.
    FLOPs: `paper` and `plotting_code` are the published formulas, which take every row to be as
    long as may be; `tokens` counts the real tokens.
    """
    plan = json.loads(Path("plan.json").read_text())
    done = {
        name: json.loads(Path(f"metrics/{name}.json").read_text())[name]
        for name in ("reference", "embed", "train")
    }
    looked = done["reference"].get("flops", 0.0) + done["embed"]["flops"]
    return {
        "seconds": {name: _seconds(name) for name in STAGE_OUTPUTS},
        "bytes": {
            name: sum(_size(Path(path)) for path in STAGE_OUTPUTS[name]) for name in STAGE_OUTPUTS
        },
        "flops": {
            **published_flops(plan["reference"].get("reference"), _shape(plan, done)),
            "tokens": _with_total(looked, done["train"]["flops"]),
        },
    }


def published_flops(reference: dict[str, Any] | None, of: RunSize) -> dict[str, dict[str, float]]:
    """FLOPs by the paper's formulas, and as the code of its plots has them.

    Training: epochs·L·6ND (two epochs there). A forward pass over the pool: 2·L·2NP; the plots
    leave out the first 2. LESS: 3·L·6NP; the plots add a warm-up of 2·L·6N on its share. IFD: L·2N
    on the rows that are clustered, L·6N on those that are trained on, and a forward pass. The paper
    has no S2L: here it is epochs·L·6NP, and a forward pass a checkpoint and one before.

    Source: arXiv 2503.01807, appendix E. N there is 8e9 in the plots whatever the model; here it is
    the model's own.
    """
    n, length, pool = of.looker, of.look_tokens, of.pool
    training = of.epochs * of.train_tokens * 6.0 * of.trained * of.rows

    def selection(once: float) -> float:
        if not of.forward:
            return 0.0
        settings = reference["settings"] if reference else {}
        kind = reference["name"] if reference else None
        if kind == "warmup":
            return 3.0 * length * 6 * n * pool
        if kind == "experienced":
            looked = min(settings["most_rows"], pool)
            fitted = min(settings["clusters"] * settings["per_cluster"], pool)
            return length * (2.0 * n * looked + 6.0 * n * fitted) + once
        if kind == "proxy":
            fit = settings["epochs"] * length * 6.0 * n * pool
            return fit + (settings["checkpoints"] + 1) * once
        return once

    forward = 2.0 * length * n * pool
    drawn = selection(forward)
    if reference and reference["name"] == "warmup":
        drawn += 2.0 * length * 6 * n * reference["settings"]["share"] * pool
    return {
        "paper": _with_total(selection(2 * forward), training),
        "plotting_code": _with_total(drawn, training),
    }


def _with_total(selection: float, training: float) -> dict[str, float]:
    return {"selection": selection, "training": training, "total": selection + training}


def _shape(plan: dict[str, Any], done: dict[str, Any]) -> RunSize:
    from dataselect.models.load import parameter_count

    trained = plan["train"]["model"]
    looker = plan["embed"].get("model") or plan["reference"].get("model") or trained
    return RunSize(
        looker=parameter_count(looker),
        trained=parameter_count(trained),
        look_tokens=looker["max_tokens"],
        train_tokens=trained["max_tokens"],
        pool=tables.row_count("out/pool.parquet"),
        rows=done["train"]["rows"],
        epochs=plan["train"]["epochs"],
        forward=done["embed"]["flops"] > 0,
    )


def _seconds(stage: str) -> float | None:
    path = record(stage)
    return json.loads(path.read_text())["seconds"] if path.exists() else None


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    return path.stat().st_size if path.exists() else 0
