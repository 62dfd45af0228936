"""Outputs that are drawn: each from random numbers of its own, whatever stands in its batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect.numerics.draws import derived_seed

if TYPE_CHECKING:
    from torch import Tensor


class Draws:
    """Draws the next token of every row of a batch, as transformers' generation calls it.

    Each row has its own stream of uniform numbers, one for each token: the token is the first at
    which the sum of the probabilities passes it.

    Args:
        names: of the rows' streams.
        seed: of all streams.
    """

    def __init__(self, names: list[str], seed: int) -> None:
        seeds = [derived_seed(seed, f"output\n{name}") for name in names]
        self.streams = [np.random.default_rng(number) for number in seeds]

    def __call__(self, ids: Tensor, logits: Tensor) -> Tensor:
        """Logits (float, b v) that leave nothing but the drawn token.

        Args:
            ids: the tokens up to here (int64, b t).
            logits: of the next one (float, b v).
        """
        import torch

        numbers = [[stream.random()] for stream in self.streams]
        drawn = torch.tensor(numbers, dtype=torch.float64, device=logits.device)
        sums = logits.double().softmax(-1).cumsum(-1)
        tokens = (sums <= drawn * sums[:, -1:]).sum(-1, keepdim=True)
        return torch.full_like(logits, -torch.inf).scatter_(1, tokens, 0.0)


def sampling_settings(settings: dict[str, Any], names: list[str], seed: int) -> dict[str, Any]:
    """A kind's settings for generation, with `Draws` in place of the library's own draws.

    Args:
        settings: `temperature`, `top_k` and `top_p`, all optional, and what else generation takes.
        names: of the batch's rows.
        seed: of all draws.
    """
    from transformers import LogitsProcessorList
    from transformers.generation.logits_process import (
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    rest = dict(settings, do_sample=False)
    warpers = {"temperature": TemperatureLogitsWarper, "top_k": TopKLogitsWarper}
    warpers["top_p"] = TopPLogitsWarper
    given = {name: rest.pop(name, None) for name in warpers}
    steps = [warpers[name](value) for name, value in given.items() if value not in (None, 0)]
    return {**rest, "logits_processor": LogitsProcessorList([*steps, Draws(names, seed)])}
