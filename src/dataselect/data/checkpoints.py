"""Checkpoints that the reference stage leaves, and the file that lists them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

from dataselect.data import files
from dataselect.errors import InputError
from dataselect.settings import PositiveInt


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


#: All checkpoints, the first so many, or those of a list: numbered from 1, in training order.
CheckpointChoice = Literal["all"] | PositiveInt | list[PositiveInt]


def checkpoint_numbers(choice: CheckpointChoice, count: int, where: str) -> list[int]:
    """The numbers of the chosen checkpoints, in training order.

    Args:
        count: how many checkpoints the reference has.
        where: the place of the choice, for the message.

    Raises:
        InputError: there are fewer, or a list is empty or not in training order.
    """
    if choice == "all":
        return list(range(1, count + 1))
    numbers = list(range(1, choice + 1)) if isinstance(choice, int) else list(choice)
    if not numbers or numbers != sorted(set(numbers)):
        raise InputError(
            f"{where}: expected rising numbers of checkpoints, like [1, 4]; found {choice}. Fix it "
            "there."
        )
    if numbers[-1] > count:
        raise InputError(
            f"{where}: expected numbers up to {count}, the reference's checkpoints; found "
            f"{numbers[-1]}. Lower it, or raise the reference's `checkpoints` or `epochs`."
        )
    return numbers


def write_checkpoints(file: Path, checkpoints: list[Checkpoint], **more: Any) -> None:
    """Lists checkpoints by their folders' names and rates, in a file with other entries, `more`."""
    named = [(checkpoint.folder.name, checkpoint.mean_learning_rate) for checkpoint in checkpoints]
    files.write_json(file, {**more, "checkpoints": named})


def read_checkpoints(folder: Path) -> list[Checkpoint]:
    """The checkpoints that the reference stage left in its folder, in training order."""
    listed = json.loads((folder / REFERENCE_FILE).read_text())["checkpoints"]
    return [Checkpoint(folder / name, rate) for name, rate in listed]
