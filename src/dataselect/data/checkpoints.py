"""Models that are fitted to look at the pool: one file a way to fit them.

A reference is a function of the model that looks, the pool's table, a folder and its settings: it
writes checkpoints into the folder and returns what it `Fitted`. Its file says what they are:
`FITS = "models"` (whole, ready to load) or `"adapters"` (LoRA, with Adam's moments).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from dataselect.data import files


class Checkpoint(NamedTuple):
    """A fitted model's folder, and the mean learning rate of the steps since the one before."""

    folder: Path
    mean_learning_rate: float


class Fitted(NamedTuple):
    """What was fitted: checkpoints in training order, rows, tokens, steps and FLOPs.

    Tokens and FLOPs are of all that it took, also of measuring what to fit on.
    """

    checkpoints: list[Checkpoint]
    rows: int
    tokens: int
    steps: int
    flops: float


#: What a folder of checkpoints says of them.
REFERENCE_FILE = "reference.json"


def write_checkpoints(file: Path, found: list[Checkpoint], **more: Any) -> None:
    """Writes down, beside checkpoints, what they are, and what else there is to say."""
    named = [(one.folder.name, one.mean_learning_rate) for one in found]
    files.write_json(file, {**more, "checkpoints": named})


def read_checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoints that the reference stage left in its folder, in training order."""
    told = json.loads((folder / REFERENCE_FILE).read_text())["checkpoints"]
    return [Checkpoint(folder / name, rate) for name, rate in told]
