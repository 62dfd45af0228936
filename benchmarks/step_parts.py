"""The parts of a training step, timed where transformers and torch compute them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
import transformers

from dataselect.train import divergence

#: The parts that are the model's.
MODELS = ("forward", "backward", "clip", "optimizer")


@contextmanager
def parts_timed() -> Generator[dict[str, float]]:
    """CPU seconds of the parts of all steps but the first, while the block runs."""
    seconds: dict[str, float] = defaultdict(float)
    trainer = transformers.Trainer
    places: list[tuple[str, Any, str]] = [
        ("forward", trainer, "compute_loss"),
        ("backward", torch.Tensor, "backward"),
        ("clip", torch.nn.utils, "clip_grad_norm_"),
        ("optimizer", torch.optim.AdamW, "step"),
        ("batch", trainer, "get_batch_samples"),
        ("finite", divergence, "check_step"),
        ("log", trainer, "log"),
        ("checkpoint", trainer, "_save_checkpoint"),
    ]
    begun = [False]
    with ExitStack() as patches:
        for part, owner, name in places:
            timed = _timed(getattr(owner, name), seconds, part, begun)
            patches.enter_context(patch.object(owner, name, timed))
        yield seconds


def _timed(
    work: Callable[..., Any], seconds: dict[str, float], part: str, begun: list[bool]
) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        try:
            return work(*args, **kwargs)
        finally:
            if begun[0]:
                seconds[part] += time.process_time() - start
            begun[0] = begun[0] or part == "optimizer"  # the clock starts after the first

    return timed


def with_rest(seconds: dict[str, float], total: float) -> dict[str, float]:
    """The parts, and the rest of all seconds."""
    return {**seconds, "rest": total - sum(seconds.values())}
