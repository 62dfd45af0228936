"""Models that are fitted before the pool is measured with them: a file per way to fit.

The file `reference/<name>.py` has a function `<name>`: its keyword-only parameters are the
reference's settings, and it returns a `Reference`. The settings `seed`, `micro_batch_size`,
`processes`, `skip_steps`, `gradient_checkpointing` and `sharding` are taken from params.yaml where
a reference has them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataselect.data.checkpoints import Fitted
from dataselect.models.settings import ModelSettings
from dataselect.train.fit import Recipe


@dataclass(frozen=True)
class Reference:
    """A reference with its settings.

    Attributes:
        fit: (model, the pool's table, a folder that survives a kill) → what was `Fitted`; its
            checkpoints lie in the folder.
        produces: whole `models`, ready to load; or LoRA `adapters` with Adam's moments.
        checkpoints: how many there will be, at most.
        rows_passed: rows of the pool → how many rows pass through the model, for the estimate.
        recipe: how it is trained.
    """

    fit: Callable[[ModelSettings, Path, Path], Fitted]
    produces: Literal["models", "adapters"]
    checkpoints: int
    rows_passed: Callable[[int], float]
    recipe: Recipe
