"""A row's losses under the model, in one pass that several methods share."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataselect.data.shards import Featurizer
from dataselect.models.batches import Batches
from dataselect.models.chat import Chat
from dataselect.models.nll import response_only_loss, token_losses


def gives(*, direct: bool) -> tuple[str, ...]:
    """The arrays of these features."""
    always = ("whole_nll", "response_nll", "prompt_nll", "probability", "cut")
    return (*always, "direct_nll") if direct else always


def bytes_a_row(*, direct: bool, **shape: object) -> int:
    """What is stored of a row."""
    return 4 * (5 if direct else 4) + 1


def losses(model: dict[str, Any], *, direct: bool = False) -> Featurizer:
    """How well the model foresees a row: its losses (nats per token) and its lengths.

    Args:
        model: the plan's model section.
        direct: also the loss of the responses alone, without what was asked: a second pass.

    Returns:
        A function of conversations that gives, each b, NaN where a row has no such token:
        `whole_nll` (float32): mean loss of every token but the first, the prompt's included.
        `response_nll` (float32): mean loss of the response tokens.
        `prompt_nll` (float32): mean loss of the other tokens but the first.
        `probability` (float32): mean probability of the response tokens.
        `direct_nll` (float32, if asked for): mean loss of the response tokens, every response
        after the bare assistant header.
        `cut` (bool): whether `max_tokens` cuts the row.

    Source: the perplexity baselines of hamishivi/automated-instruction-selection@df71a04 (whole),
    S2L's trajectories (response), IFD's denominator in tianyi-lab/Cherry_LLM (direct); there
    for single turns, here over all of a row's.
    """
    from dataselect.models.load import load_causal, load_tokenizer

    net = load_causal(model)
    chat = Chat(load_tokenizer(model), model["chat"], model["max_tokens"])
    batches = Batches.on(net.device.type, gpu=8_192)

    def compute(rows: list, side: str, advance: Any) -> dict[str, np.ndarray]:
        names = ("whole_nll", "response_nll", "prompt_nll", "probability")
        answer = {name: np.zeros(len(rows), dtype=np.float32) for name in names}
        answer["cut"] = np.zeros(len(rows), dtype=bool)
        for numbers, encoded in chat.encode_by_length(rows):
            found = token_losses(net, encoded, advance, whole=True, batches=batches)
            for name in names:
                answer[name][numbers] = getattr(
                    found, name.removesuffix("_nll").replace("whole", "full")
                )
            answer["cut"][numbers] = [row.truncated for row in encoded]
        if direct:
            answer["direct_nll"] = response_only_loss(net, chat, rows, batches, advance).astype(
                np.float32
            )
        return answer

    return compute
