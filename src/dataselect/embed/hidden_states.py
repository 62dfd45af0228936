"""Hidden states of the last layer, pooled over a row's tokens into one vector."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed import Feature
from dataselect.models.batches import Batches, filled, pad
from dataselect.models.chat import Encoded, load_chat
from dataselect.models.settings import ModelSettings
from dataselect.report import Progress

if TYPE_CHECKING:
    from torch import Tensor

    from dataselect.models.packed import Packed

#: On a GPU: tokens of a batch, padded and packed.
PADDED_TOKENS, PACKED_TOKENS = 8_192, 32_768

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
    from dataselect.models.packed import packed, to_device
    from dataselect.models.parts import encode_part
    from dataselect.models.rotary import length_key

    encoder, chat = load_encoder(model), load_chat(model)
    device, token_flops = compute_device(encoder), forward_flops(encoder, head=False)
    stored = torch.float32 if encoder.dtype == torch.float32 else torch.float16
    net = packed(encoder, compiled=True)
    vectors_of = partial(_padded, encoder) if net is None else partial(_packed, net)
    budget = PADDED_TOKENS if net is None else PACKED_TOKENS
    batches = Batches.on(device.type, gpu=budget, packed=net is not None)
    key = length_key(encoder)

    def featurize(rows: list, side: str, progress: Progress) -> dict[str, np.ndarray]:
        # They stay on the device until all are there: no batch waits for the one before.
        vectors = torch.zeros(len(rows), encoder.config.hidden_size, dtype=stored, device=device)

        def embed_batch(numbers: np.ndarray, encoded: list[Encoded], batch: list[int]) -> None:
            places = to_device(numbers[batch], device)
            with torch.inference_mode():
                pooled = vectors_of([encoded[i] for i in batch], over, pooling, unit)
                vectors[places] = pooled.to(device, stored)
            tokens = sum(len(encoded[i].ids) for i in batch)
            progress(len(batch), tokens, token_flops * tokens)

        is_part = over == "prompt" or over == "response"
        encode = partial(encode_part, chat, side=side, part=over) if is_part else None
        blocks = chat.encode_by_length(rows, encode)
        if net is not None:
            blocks = filled(blocks, batches.max_padded_tokens)
        for numbers, encoded in blocks:
            lengths = [len(row.ids) for row in encoded]
            batches.run(lengths, partial(embed_batch, numbers, encoded), key)
        return {"vectors": vectors.cpu().numpy()}

    return featurize


def _padded(
    encoder: Any, rows: list[Encoded], over: Tokens, pooling: Pooling, unit: bool
) -> Tensor:
    """The vectors of padded rows: b d, fp32."""
    from dataselect.models.device_map import compute_device

    ids, response, real = pad(rows, compute_device(encoder))
    kept = {"all": real, "masked_prompt": real & ~response}.get(over, response)
    # Causal attention and right padding: no real token attends to padding.
    states = encoder(input_ids=ids, use_cache=False).last_hidden_state
    return pool(states, kept, pooling, unit)


def _packed(net: Packed, rows: list[Encoded], over: Tokens, pooling: Pooling, unit: bool) -> Tensor:
    """The vectors of packed rows: b d, fp32."""
    from torch.nn.functional import normalize

    from dataselect.models.packed import segment_sums, to_device

    states = net([row.ids for row in rows]).last_hidden_state[0]
    weights = np.concatenate([token_weights(_kept(row, over), pooling) for row in rows])
    lengths = to_device(np.asarray([len(row.ids) for row in rows]), states.device)
    # t d: products of fp32, whatever the model computes in
    weighted = states * to_device(weights, states.device)[:, None]
    pooled = segment_sums(weighted, lengths)
    return normalize(pooled, dim=1) if unit else pooled


def _kept(row: Encoded, over: Tokens) -> np.ndarray:
    """Which tokens of a row are pooled (bool, t)."""
    if over == "all":
        return np.ones_like(row.response)
    return ~row.response if over == "masked_prompt" else row.response


def token_weights(kept: np.ndarray, pooling: Pooling) -> np.ndarray:
    """How much each token of a row counts (float32, t); they add up to 1, or 0 if none is kept."""
    position = kept.cumsum() * kept  # 1, 2, … on kept tokens, 0 elsewhere
    if pooling == "weighted_mean":
        weight = position
    elif pooling == "mean":
        weight = kept
    else:
        weight = kept & (position == position.max())
    return (weight / max(weight.sum(), 1)).astype(np.float32)


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
