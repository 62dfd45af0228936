"""What is measured of every row: a file per feature.

The file `embed/<name>.py` has a function `<name>`: its keyword-only parameters are the feature's
settings in methods.yaml, and it returns a `Feature`, which says everything else about it. Calling
it is cheap: no model is loaded before `Feature.load`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import ROWS_PER_SHARD, Featurizer
from dataselect.models.settings import ModelSettings


@dataclass(frozen=True)
class Feature:
    """A feature with its settings.

    Attributes:
        load: (model, checkpoints) → `Featurizer`, a function (rows, side, progress) → {name: array
            with one entry a row}. `checkpoints` are those that the method chooses of the reference
            stage's, in training order; empty where the method has no reference.
        outputs: the names of the arrays it gives for a row of the pool.
        bytes_per_row: (hidden size, number of checkpoints) → bytes stored of a row, at most; the
            hidden size may be None (not known without reading the model), and so may the answer.
        needs_reference: the checkpoints it cannot do without: whole `models`, LoRA `adapters`, or
            None. A feature that needs none is loaded with the last of the chosen checkpoints as its
            model, where the method has a reference.
        needs_positions: whether the model must have a position for each of `max_tokens` tokens; not
            where the feature reads no more tokens than the model can, or loads no model.
        per_checkpoint: the outputs whose axis 1 is the checkpoints, of both sides, where a number
            depends on its own checkpoint alone. What is stored of more checkpoints then serves for
            fewer of them. All other arrays must depend on no checkpoint.
        other_passes: passes over the rows besides those of the checkpoints, one each.
        rows_per_shard: about how many rows lie in a file; smaller where a row is slow or large.
    """

    load: Callable[[ModelSettings, list[Checkpoint]], Featurizer]
    outputs: tuple[str, ...]
    bytes_per_row: Callable[[int | None, int], int | None]
    needs_reference: Literal["models", "adapters"] | None = None
    needs_positions: bool = True
    per_checkpoint: tuple[str, ...] = ()
    other_passes: int = 0
    rows_per_shard: int = ROWS_PER_SHARD
