"""Hidden states of the last layer, pooled over a row's tokens into one vector."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed import Feature
from dataselect.models.batches import Batches, pad
from dataselect.models.chat import Encoded, load_chat
from dataselect.models.settings import ModelSettings
from dataselect.report import Progress

if TYPE_CHECKING:
    from torch import Tensor

Pooling = Literal["weighted_mean", "mean", "last_token"]
Tokens = Literal["all", "prompt", "response", "masked_prompt", "masked_response"]


def hidden_states(
    *, pooling: Pooling = "weighted_mean", over: Tokens = "all", unit: bool = True
) -> Feature:
    """Pools the hidden states of the model that is to be trained, after its final norm.

    Gives `vectors` (b d, float32; float16 where the model computes in 16 bits). A row without a
    token to pool is all zeros. No vector depends on its batch.

    Args:
        pooling: `weighted_mean` weights the i-th pooled token (from 1) by i / Σi; `mean` weights
            all equally; `last_token` takes the last one alone.
        over: what is pooled. `all`: the whole conversation. `prompt`, `response`: the first prompt
            or the first response, encoded without the rest (see `models.parts.encode_part`).
            `masked_prompt`, `masked_response`: of the whole conversation the tokens outside
            responses (headers and the beginning-of-text token too), or the response tokens.
        unit: scales each vector to length 1.

    Source: RDS+, arXiv 2503.01807; `all`, `prompt` and `response` as in its code
    (hamishivi/automated-instruction-selection@df71a04), which ignores the padding mask, and so is
    right for batches of one row only. The masked ones are ours.
    """
    return Feature(
        load=partial(_load, pooling=pooling, over=over, unit=unit),
        outputs=("vectors",),
        bytes_per_row=lambda hidden_size, checkpoints: 4 * hidden_size if hidden_size else None,
    )


def _load(
    model: ModelSettings,
    checkpoints: list[Checkpoint],
    *,
    pooling: Pooling,
    over: Tokens,
    unit: bool,
) -> Featurizer:
    import torch

    from dataselect.models.device_map import compute_device
    from dataselect.models.flops import forward_flops
    from dataselect.models.load import load_encoder
    from dataselect.models.parts import encode_part

    encoder = load_encoder(model)
    chat = load_chat(model)
    device = compute_device(encoder)
    batches = Batches.on(device.type, gpu=8_192)
    token_flops = forward_flops(encoder, head=False)
    stored = np.float32 if encoder.dtype == torch.float32 else np.float16

    def featurize(rows: list, side: str, progress: Progress) -> dict[str, np.ndarray]:
        vectors = np.zeros((len(rows), encoder.config.hidden_size), dtype=stored)

        def embed_batch(numbers: np.ndarray, encoded: list[Encoded], batch: list[int]) -> None:
            ids, response, real = pad([encoded[i] for i in batch], device)
            kept = {"all": real, "masked_prompt": real & ~response}.get(over, response)
            with torch.inference_mode():
                # Causal attention and right padding: no real token attends to padding.
                states = encoder(input_ids=ids, use_cache=False).last_hidden_state
                vectors[numbers[batch]] = pool(states, kept, pooling, unit).cpu().numpy()
            tokens = int(real.sum())
            progress(len(batch), tokens, token_flops * tokens)

        is_part = over == "prompt" or over == "response"
        encode = partial(encode_part, chat, side=side, part=over) if is_part else None
        for numbers, encoded in chat.encode_by_length(rows, encode):
            lengths = [len(row.ids) for row in encoded]
            batches.run(lengths, partial(embed_batch, numbers, encoded))
        return {"vectors": vectors}

    return featurize


def pool(states: Tensor, kept: Tensor, pooling: Pooling, unit: bool = True) -> Tensor:
    """Pools hidden states over the kept tokens: b d, fp32.

    Args:
        states: b t d.
        kept: bool, b t.
        unit: scales each vector to length 1.
    """
    import torch

    position = kept.cumsum(1) * kept  # 1, 2, … on kept tokens, 0 elsewhere
    if pooling == "weighted_mean":
        weight = position.float()
    elif pooling == "mean":
        weight = kept.float()
    else:
        weight = (kept & (position == position.amax(1, keepdim=True))).float()
    weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
    # b 1 t @ b t d: sums over tokens in fp32, whatever the model computes in
    pooled = torch.bmm(weight.unsqueeze(1), states.float()).squeeze(1)
    return torch.nn.functional.normalize(pooled, dim=1) if unit else pooled
