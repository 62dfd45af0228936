"""The last layer's hidden states, pooled over a row's tokens into one vector."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dataselect.data.shards import Featurizer
from dataselect.models.batches import Batches, pad
from dataselect.models.chat import Chat, Encoded

if TYPE_CHECKING:
    from torch import Tensor


def gives(**settings: object) -> tuple[str, ...]:
    """The arrays of these features."""
    return ("vectors",)


def bytes_a_row(*, width: int | None, **settings: object) -> int | None:
    """What is stored of a row, at most (fp32)."""
    return 4 * width if width else None


def hidden_states(
    model: dict[str, Any],
    *,
    pooling: Literal["weighted_mean", "mean", "last_token"] = "weighted_mean",
    over: Literal["all", "prompt", "response"] = "all",
    unit: bool = True,
) -> Featurizer:
    """A row's meaning is the pooled last hidden states of the model that is to be trained.

    Of the hidden states after the final norm (b t d), over the tokens that `over` names:
    `weighted_mean` weighs the i-th of them (from 1) by i / Σi, `mean` all the same, `last_token`
    only the last. Each vector is then scaled to length 1, unless `unit` is false. A row without
    such tokens is all zeros.

    Args:
        model: the plan's model section.

    Returns:
        A function of conversations that gives `vectors`: b d, float32 (float16 where the model
        computes in 16 bits).

    Source: RDS+, arXiv 2503.01807. The reference (hamishivi/automated-instruction-selection at
    df71a04) ignores the padding mask, and so is right for batches of one only; here a vector does
    not depend on its batch. What exactly `prompt` and `response` covered there is not published:
    here they are the tokens outside and inside the response mask, headers being the prompt's.
    """
    import torch

    from dataselect.models.flops import forward_flops
    from dataselect.models.load import load_encoder, load_tokenizer

    encoder = load_encoder(model)
    chat = Chat(load_tokenizer(model), model["chat"], model["max_tokens"])
    batches = Batches.on(encoder.device.type, gpu=32_768)
    cost = forward_flops(encoder, head=False)
    stored = np.float32 if encoder.dtype == torch.float32 else np.float16

    def compute(rows: list, side: str, advance: Any) -> dict[str, np.ndarray]:
        vectors = np.zeros((len(rows), encoder.config.hidden_size), dtype=stored)

        def look(numbers: np.ndarray, encoded: list[Encoded], batch: list[int]) -> None:
            ids, response, real = pad([encoded[i] for i in batch], str(encoder.device))
            kept = {"all": real, "prompt": real & ~response, "response": response}[over]
            with torch.inference_mode():
                # Causal attention and right padding: no real token ever sees a padded one.
                states = encoder(input_ids=ids, use_cache=False).last_hidden_state
                vectors[numbers[batch]] = pool(states, kept, pooling, unit).cpu().numpy()
            tokens = int(real.sum())
            advance(len(batch), tokens, cost * tokens)

        for numbers, encoded in chat.encode_by_length(rows):
            batches.run([len(row.ids) for row in encoded], partial(look, numbers, encoded))
        return {"vectors": vectors}

    return compute


def pool(states: Tensor, kept: Tensor, pooling: str, unit: bool = True) -> Tensor:
    """Pools hidden states (b t d) over the kept tokens (bool, b t): b d, fp32, maybe a unit."""
    import torch

    position = kept.cumsum(1) * kept  # 1..t on kept tokens, 0 elsewhere
    if pooling == "weighted_mean":
        weight = position.float()
    elif pooling == "mean":
        weight = kept.float()
    else:
        weight = (kept & (position == position.amax(1, keepdim=True))).float()
    weight = weight / weight.sum(1, keepdim=True).clamp(min=1)
    # b 1 t @ b t d: the sum over tokens in fp32 whatever the model computes in
    pooled = torch.bmm(weight.unsqueeze(1), states.float()).squeeze(1)
    return torch.nn.functional.normalize(pooled, dim=1) if unit else pooled
