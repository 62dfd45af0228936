"""A row's losses while a proxy learns: one number a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.models.batches import Batches
from dataselect.models.chat import Chat
from dataselect.models.nll import token_losses
from dataselect.report import Progress

LOOKS_WITH = "models"


def gives(**settings: object) -> tuple[str, ...]:
    """The arrays of these features."""
    return ("nll", "probability", "before_nll", "before_probability")


def bytes_a_row(*, checkpoints: int, **settings: object) -> int:
    """What is stored of a row."""
    return 8 * (checkpoints + 1)


def trajectories(model: dict[str, Any], checkpoints: list[Checkpoint]) -> Featurizer:
    """How a row's loss goes down, or does not, over the checkpoints of a model that is fitted.

    Args:
        model: the plan's section of that model, as it was before.
        checkpoints: c of them, in training order.

    Returns:
        A function of conversations that gives, float32, NaN where a row has no response token:
        `nll` (b c): mean loss of the response tokens at every checkpoint, nats per token.
        `probability` (b c): their mean probability.
        `before_nll`, `before_probability` (b): the same before the first step.

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd, where a row without a response is all
    zeros, and one that may be chosen.
    """
    from dataselect.models.load import device, load_causal, load_tokenizer

    chat = Chat(load_tokenizer(model), model["chat"], model["max_tokens"])
    batches = Batches.on(device(), gpu=8_192)
    names = [model["name"], *(str(one.folder) for one in checkpoints)]

    def compute(rows: list, side: str, advance: Progress) -> dict[str, np.ndarray]:
        encoded = chat.encode(rows)
        nll = np.zeros((len(rows), len(names)), dtype=np.float32)
        probability = np.zeros_like(nll)
        for number, name in enumerate(names):
            own = {"revision": None} if number else {}
            net = load_causal({**model, "name": name, **own})
            last = number == len(names) - 1  # rows are done when the last has seen them
            told: Progress = advance if last else lambda _, *cost: advance(0, *cost)
            found = token_losses(net, encoded, told, batches=batches)
            nll[:, number], probability[:, number] = found.response, found.probability
        return {
            "nll": nll[:, 1:].copy(),
            "probability": probability[:, 1:].copy(),
            "before_nll": nll[:, 0].copy(),
            "before_probability": probability[:, 0].copy(),
        }

    return compute
