"""The losses of rows under a causal language model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dataselect.models.batches import Batches, pad
from dataselect.models.chat import Chat, Encoded
from dataselect.models.flops import forward_flops
from dataselect.report import Progress

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class Losses(NamedTuple):
    """Of every row (float64, b; NaN where there is no such token).

    Attributes:
        whole: mean loss of every token but the first, nats per token; NaN unless asked for.
        response: mean loss of the response tokens, nats per token.
        probability: mean probability of the response tokens.
        prompt: mean loss of the other tokens but the first, nats per token; NaN unless `whole`.
    """

    full: np.ndarray
    response: np.ndarray
    probability: np.ndarray
    prompt: np.ndarray


def token_losses(
    model: PreTrainedModel,
    rows: list[Encoded],
    advance: Progress = lambda *_: None,
    *,
    whole: bool = False,
    batches: Batches | None = None,
) -> Losses:
    """Negative log-likelihoods and probabilities of rows; none depends on the batches.

    Args:
        whole: also over every token but the first; else no logits are computed before the first
            response token of a batch.
        batches: how large; None: a moderate size.
    """
    import torch

    batches = batches or Batches(4_096)

    answer = Losses(*(np.full(len(rows), np.nan) for _ in Losses._fields))
    cost = forward_flops(model, head=True)

    def look(batch: list[int]) -> None:
        ids, response, real = pad([rows[i] for i in batch], str(model.device))
        # Token t is predicted at t − 1: targets from the second token on.
        wanted = (real if whole else response)[:, 1:]
        first = int(wanted.any(0).int().argmax())
        with torch.inference_mode():
            keep = wanted.shape[1] - first + 1  # the last token predicts nothing
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits[:, :-1]
            wanted, response = wanted[:, first:], response[:, 1 + first :]
            # k v, only the k tokens asked for in fp32
            found = torch.nn.functional.cross_entropy(
                logits[wanted].float(), ids[:, 1 + first :][wanted], reduction="none"
            )
        nll = torch.zeros(wanted.shape, dtype=torch.float64, device=ids.device)
        nll[wanted] = found.double()
        answer.response[batch] = _mean(nll, response)
        answer.probability[batch] = _mean(torch.exp(-nll), response)
        if whole:
            answer.full[batch] = _mean(nll, wanted)
            answer.prompt[batch] = _mean(nll, wanted & ~response)
        tokens = int(real.sum())
        advance(len(batch), tokens, cost * tokens)

    batches.run([len(row.ids) for row in rows], look)
    return answer


def _mean(values: Tensor, kept: Tensor) -> np.ndarray:
    """Mean over the kept tokens; NaN where there are none."""
    return ((values * kept).sum(1) / kept.sum(1)).cpu().numpy()


def response_only_loss(
    model: PreTrainedModel, chat: Chat, rows: list, batches: Batches, advance: Progress
) -> np.ndarray:
    """Mean loss of a row's response tokens, every response after the bare assistant header.

    float64, b; NaN for a row without a response.
    """
    turns = [(i, [turn]) for i, row in enumerate(rows) for turn in row if _is_response(turn)]
    encoded = chat.encode([turn for _, turn in turns])
    told: Progress = lambda _, *cost: advance(0, *cost)  # noqa: E731  # turns are no rows
    nll = token_losses(model, encoded, told, batches=batches).response
    tokens = np.asarray([int(row.response[1:].sum()) for row in encoded])
    total, count = np.zeros(len(rows)), np.zeros(len(rows))
    of = np.asarray([i for i, _ in turns], dtype=np.int64)
    there = np.isfinite(nll)
    np.add.at(total, of[there], (nll * tokens)[there])
    np.add.at(count, of[there], tokens[there])
    return np.divide(total, count, out=np.full(len(rows), np.nan), where=count > 0)


def _is_response(turn: dict[str, str]) -> bool:
    return turn["role"] == "assistant"
