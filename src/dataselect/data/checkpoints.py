"""Checkpoints that the reference stage leaves, and the file that lists them."""

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
    """A fitted reference.

    Attributes:
        checkpoints: in training order.
        rows: rows that it was fitted on.
        tokens: tokens of the whole work, also of measuring which rows to fit on.
        steps: optimiser steps.
        flops: of the whole work, computed from the tokens.
    """

    checkpoints: list[Checkpoint]
    rows: int
    tokens: int
    steps: int
    flops: float


#: The file, in a folder of checkpoints, that lists them.
REFERENCE_FILE = "reference.json"


def write_checkpoints(file: Path, checkpoints: list[Checkpoint], **more: Any) -> None:
    """Lists checkpoints by their folders' names and rates, in a file with other entries, `more`."""
    named = [(checkpoint.folder.name, checkpoint.mean_learning_rate) for checkpoint in checkpoints]
    files.write_json(file, {**more, "checkpoints": named})


def read_checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoints that the reference stage left in its folder, in training order."""
    listed = json.loads((folder / REFERENCE_FILE).read_text())["checkpoints"]
    return [Checkpoint(folder / name, rate) for name, rate in listed]
