"""S2L's proxy: a small model fine-tuned on the whole pool, with checkpoints along the way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt

from dataselect.compute.distributed import Processes
from dataselect.data.checkpoints import Fitted
from dataselect.data.tables import row_count
from dataselect.settings import Fraction, PositiveInt
from dataselect.train.examples import sample_rows
from dataselect.train.fit import recipe
from dataselect.train.snapshots import fit_with_snapshots, save_model

FITS = "models"


def checkpoints(*, checkpoints: int, **settings: object) -> int:
    """How many checkpoints there will be, if there are as many steps."""
    return checkpoints


def work(*, rows: int, epochs: int, **settings: object) -> float:
    """How much there is to do on a pool of so many rows, in rows passed through the model."""
    return float(epochs * rows)


def proxy(
    model: dict[str, Any],
    pool: Path,
    home: Path,
    *,
    seed: int,
    epochs: PositiveInt = 3,
    checkpoints: PositiveInt = 12,
    learning_rate: Annotated[float, Gt(0)] = 2e-5,
    batch_size: PositiveInt = 128,
    micro_batch_size: PositiveInt = 1,
    processes: Processes = "auto",
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine",
    warmup: Fraction = 0.03,
) -> Fitted:
    """Fine-tunes the whole model on every row of the pool; checkpoints are evenly spaced.

    A checkpoint is a model's folder, ready to load. The last is after the last step.

    Args:
        checkpoints: how many; the length of a row's trajectory. The paper took one every 500
            steps and had 12.
        micro_batch_size: as many rows at a time as train takes, or the most that divide a batch.
        processes: as many as train takes: see `ranks`.

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd (the recipe), which reads its checkpoints
    in no certain order.
    """
    how = recipe(locals())
    rows = sample_rows(pool, seed, row_count(pool))
    return fit_with_snapshots(model, pool, rows, home, how, checkpoints, save_model)
