"""What `embed.py` measures of features in bfloat16, against float32."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from shapes import MODEL, rows

from dataselect.compute import no_progress
from dataselect.data.checkpoints import Checkpoint
from dataselect.embed.hidden_states import hidden_states
from dataselect.embed.losses import losses
from dataselect.embed.trajectories import trajectories
from dataselect.models.precision import torch_dtype
from embed import CHECKPOINTS, size_of


def bfloat16(count: int) -> dict[str, Any]:
    """Features in bfloat16 against float32: the fastest of three each, one after the other."""
    sample = rows(count)
    twice = [Checkpoint(Path(MODEL.name), 1.0)] * CHECKPOINTS
    parts = {"vectors": (hidden_states(), []), "whole_nll": (losses(), []),
             "nll": (trajectories(), twice)}  # fmt: skip
    run: dict[str, Any] = {**size_of(sample), "faster_here": str(torch_dtype("auto"))}
    for name, (feature, checkpoints) in parts.items():
        seconds, numbers = {}, {}
        for _ in range(3):
            for dtype in ("float32", "bfloat16"):
                featurizer = feature.load(replace(MODEL, dtype=dtype), checkpoints)
                featurizer(sample[:16], "pool", no_progress)
                start = time.process_time()
                numbers[dtype] = featurizer(sample, "pool", no_progress)[name].astype(np.float64)
                taken = time.process_time() - start
                seconds[dtype] = min(taken, seconds.get(dtype, taken))
        run[name] = {f"cpu_seconds_{dtype}": round(s, 2) for dtype, s in seconds.items()}
        run[name]["times_float32"] = round(seconds["float32"] / seconds["bfloat16"], 2)
        run[name] |= _apart(numbers["float32"], numbers["bfloat16"])
    return run


def _apart(ours: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """The lowest cosine of two vectors; of numbers, the largest and the median relative gap."""
    if ours.ndim > 1 and ours.shape[1] > CHECKPOINTS + 1:
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(others, axis=1)
        return {"least_cosine": round(float(((ours * others).sum(axis=1) / lengths).min()), 6)}
    gaps = np.abs(ours - others) / ours
    return {"most_relative_gap": float(np.nanmax(gaps)), "median_gap": float(np.nanmedian(gaps))}
