"""How well a causal language model predicts rows: mean losses and probabilities of their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dataselect.models.batches import Batches, pad
from dataselect.models.device_map import compute_device
from dataselect.models.flops import forward_flops
from dataselect.models.parts import encode_responses
from dataselect.report import Progress, part_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from dataselect.data.tables import Message
    from dataselect.models.chat import Chat, Encoded

#: Padded tokens of a batch where the caller names no size.
MAX_PADDED_TOKENS = 4_096


class Losses(NamedTuple):
    """Means over a row's tokens (float64, b; NaN for a row without such tokens).

    Attributes:
        full: loss of every token but the first, nats per token; NaN unless computed (`full=True`).
        response: loss of the response tokens, nats per token.
        probability: probability of the response tokens.
        prompt: loss of the other tokens but the first, nats per token; NaN unless `full=True`.
    """

    full: np.ndarray
    response: np.ndarray
    probability: np.ndarray
    prompt: np.ndarray


def token_losses(
    net: PreTrainedModel,
    rows: list[Encoded],
    progress: Progress = lambda *_: None,
    *,
    full: bool = False,
    batches: Batches | None = None,
) -> Losses:
    """Mean losses and probabilities of rows; a row's do not depend on its batch.

    Args:
        full: also the losses outside the responses. Without them no logits are computed before
            the first response token of a batch.
        batches: how large batches are; None: at most `MAX_PADDED_TOKENS`.

    Raises:
        InputError: memory does not suffice for a single row.
    """
    import torch

    batches = batches or Batches(MAX_PADDED_TOKENS)
    losses = Losses(*(np.full(len(rows), np.nan) for _ in Losses._fields))
    flops_per_token = forward_flops(net, head=True)

    def compute(batch: list[int]) -> None:
        ids, response, real = pad([rows[i] for i in batch], compute_device(net))
        # Token t is predicted at t − 1: targets from the second token on.
        wanted = (real if full else response)[:, 1:]
        first = int(wanted.any(0).int().argmax())
        with torch.inference_mode():
            keep = wanted.shape[1] - first + 1  # the last token predicts nothing
            logits = net(input_ids=ids, use_cache=False, logits_to_keep=keep).logits[:, :-1]
            wanted, response = wanted[:, first:], response[:, 1 + first :]
            # k v: only the k wanted tokens are converted to fp32
            wanted_nll = torch.nn.functional.cross_entropy(
                logits[wanted].float(), ids[:, 1 + first :][wanted], reduction="none"
            )
        nll = torch.zeros(wanted.shape, dtype=torch.float64, device=ids.device)
        nll[wanted] = wanted_nll.double()
        losses.response[batch] = _mean(nll, response)
        losses.probability[batch] = _mean(torch.exp(-nll), response)
        if full:
            losses.full[batch] = _mean(nll, wanted)
            losses.prompt[batch] = _mean(nll, wanted & ~response)
        tokens = int(real.sum())
        progress(len(batch), tokens, flops_per_token * tokens)

    batches.run([len(row.ids) for row in rows], compute)
    return losses


def _mean(values: Tensor, mask: Tensor) -> np.ndarray:
    """Mean over the tokens of a mask, by row; NaN for a row without any."""
    return ((values * mask).sum(1) / mask.sum(1)).cpu().numpy()


def response_only_loss(
    net: PreTrainedModel,
    chat: Chat,
    rows: list[list[Message]],
    batches: Batches,
    progress: Progress,
) -> np.ndarray:
    """Mean loss of a row's response tokens, each response alone: see `parts.encode_responses`.

    Args:
        progress: gets all rows as the responses are done, of which a row may have several.

    Returns:
        Nats per token (float64, b); NaN for a row without a response.
    """

    responses = encode_responses(chat, rows)
    encoded = [row for _, row in responses]
    counted = part_of(progress, len(responses) / len(rows)) if rows else progress
    nll = token_losses(net, encoded, counted, batches=batches).response
    tokens = np.asarray([int(row.response[1:].sum()) for row in encoded], dtype=np.int64)
    numbers = np.asarray([number for number, _ in responses], dtype=np.int64)
    usable = np.isfinite(nll)
    total, count = np.zeros(len(rows)), np.zeros(len(rows))
    np.add.at(total, numbers[usable], (nll * tokens)[usable])
    np.add.at(count, numbers[usable], tokens[usable])
    return np.divide(total, count, out=np.full(len(rows), np.nan), where=count > 0)
