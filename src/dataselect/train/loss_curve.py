"""The loss of every step as a file that can be looked at while training runs (dvclive)."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.data import files

if TYPE_CHECKING:
    from transformers import TrainerCallback

#: dvclive opens two files at every writing, which takes as long as a small part of a step.
SECONDS_BETWEEN_WRITINGS = 1.0


@contextmanager
def loss_curve(folder: Path) -> Generator[TrainerCallback]:
    """A callback that writes the loss of every step, at most once a second.

    What is left is written at the end of the block, also where training fails. A resumed run first
    writes the losses from before the kill again.

    Args:
        folder: gets `plots/metrics/loss.tsv`, and `metrics.json` with the last loss.
    """
    from transformers import TrainerCallback

    class LossCurve(TrainerCallback):
        live: Any = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            from dvclive import Live

            self.entries = list(state.log_history)
            self.written = 0.0
            # dvclive passes over what it cannot remove, and would write behind it.
            files.remove_folder(folder / "plots")
            self.live = Live(str(folder), dvcyaml=None, report=None, save_dvc_exp=False)

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.entries.append(state.log_history[-1])
            if time.monotonic() >= self.written + SECONDS_BETWEEN_WRITINGS:
                self.write()

        def write(self) -> None:
            for entry in self.entries:
                if "loss" in entry:
                    self.live.step = entry["step"]
                    self.live.log_metric("loss", entry["loss"], timestamp=False)
            self.entries.clear()
            self.live.sync()
            self.written = time.monotonic()

    curve = LossCurve()
    try:
        yield curve
    finally:
        if curve.live is not None:  # training began, and this is the main process
            curve.write()
            curve.live.end()
