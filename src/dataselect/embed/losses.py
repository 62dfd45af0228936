"""A row's losses under the model, from one pass that several methods share."""

from __future__ import annotations

from functools import partial

import numpy as np

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed import Feature
from dataselect.models.batches import Batches, filled
from dataselect.models.chat import load_chat
from dataselect.models.settings import ModelSettings
from dataselect.report import Progress, part_of

#: On a GPU: tokens of a batch; and how many batches are measured before any of them is read.
TOKENS, BATCHES = 8_192, 8

#: The arrays of the first pass, and the field of `models.nll.Losses` that each holds.
FIELDS = {
    "whole_nll": "full",
    "response_nll": "response",
    "prompt_nll": "prompt",
    "probability": "probability",
}


def losses(*, direct: bool = False) -> Feature:
    """Measures how well the model predicts a row: mean losses, in nats per token.

    Gives, each b, NaN where a row has no such token:
    `whole_nll` (float32): loss of every token but the first, the prompt's included.
    `response_nll` (float32): loss of the response tokens.
    `prompt_nll` (float32): loss of the other tokens but the first.
    `probability` (float32): mean probability of the response tokens.
    `direct_nll` (float32; with `direct` only): loss of the same response tokens, every response
    after the bare assistant header: that which the chat template writes for a generation prompt.
    `cut` (bool): whether `max_tokens` truncates the row.

    Args:
        direct: also computes `direct_nll`, in a second pass over the responses.

    Source: the perplexity baselines of hamishivi/automated-instruction-selection@df71a04 (whole),
    S2L's trajectories (response), IFD's denominator in tianyi-lab/Cherry_LLM (direct); there for
    single turns, here over all turns of a row.
    """
    return Feature(
        load=partial(_load, direct=direct),
        outputs=(*FIELDS, "cut", *(["direct_nll"] if direct else [])),
        bytes_per_row=lambda hidden_size, checkpoints: 4 * (5 if direct else 4) + 1,
    )


def _load(model: ModelSettings, checkpoints: list[Checkpoint], *, direct: bool) -> Featurizer:
    from dataselect.models.device_map import compute_device
    from dataselect.models.load import load_causal
    from dataselect.models.nll import response_only_loss, token_losses
    from dataselect.models.packed import packed

    chat, causal = load_chat(model), load_causal(model, spread=True)
    packed_net = packed(causal, compiled=True)
    net = packed_net or causal
    batches = Batches.on(compute_device(causal).type, gpu=TOKENS, packed=packed_net is not None)

    def featurize(rows: list, side: str, progress: Progress) -> dict[str, np.ndarray]:
        arrays = {name: np.zeros(len(rows), dtype=np.float32) for name in FIELDS}
        arrays["cut"] = np.zeros(len(rows), dtype=bool)
        counted = part_of(progress, 2 if direct else 1)
        blocks = chat.encode_by_length(rows)
        if packed_net is not None:
            blocks = filled(blocks, BATCHES * batches.max_padded_tokens)
        for numbers, encoded in blocks:
            measured = token_losses(net, encoded, counted, full=True, batches=batches)
            for name, field in FIELDS.items():
                arrays[name][numbers] = getattr(measured, field)
            arrays["cut"][numbers] = [row.truncated for row in encoded]
        if direct:
            nll = response_only_loss(net, chat, rows, batches, counted)
            arrays["direct_nll"] = nll.astype(np.float32)
        return arrays

    return featurize
