"""How well a causal language model predicts rows: mean losses and probabilities of their tokens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dataselect.models.batches import Batches, pad
from dataselect.models.device_map import compute_device
from dataselect.models.flops import forward_flops
from dataselect.models.packed import Packed, segment_sums, to_device
from dataselect.models.parts import encode_responses
from dataselect.models.rotary import length_key
from dataselect.report import Progress, part_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from dataselect.data.tables import Message
    from dataselect.models.chat import Chat, Encoded

#: Padded tokens of a batch where the caller names no size.
MAX_PADDED_TOKENS = 4_096

#: Tokens whose logits are in fp32 at a time.
TOKENS_IN_FP32 = 2_048


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
    net: PreTrainedModel | Packed,
    rows: list[Encoded],
    progress: Progress = lambda *_: None,
    *,
    full: bool = False,
    batches: Batches | None = None,
) -> Losses:
    """Mean losses and probabilities of rows; a row's do not depend on its batch.

    Args:
        net: a causal language model, or one that reads packed rows.
        full: also the losses outside the responses. Without them no logits are computed before
            the first response token of a batch.
        batches: how large batches are; None: at most `MAX_PADDED_TOKENS`.

    Raises:
        InputError: memory does not suffice for a single row.
    """
    batches = batches or Batches(MAX_PADDED_TOKENS, packed=isinstance(net, Packed))
    if isinstance(net, Packed):
        return _packed_losses(net, rows, progress, full, batches)
    return _padded_losses(net, rows, progress, full, batches)


def _padded_losses(
    net: PreTrainedModel, rows: list[Encoded], progress: Progress, full: bool, batches: Batches
) -> Losses:
    import torch

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

    batches.run([len(row.ids) for row in rows], compute, length_key(net))
    return losses


def _packed_losses(
    packed: Packed, rows: list[Encoded], progress: Progress, full: bool, batches: Batches
) -> Losses:
    """The same of packed rows. They stay on the device until all are there."""
    import torch

    means = torch.full((4, len(rows)), torch.nan, dtype=torch.float64, device=packed.device)
    flops_per_token = forward_flops(packed.net, head=True)

    def compute(batch: list[int]) -> None:
        encoded = [rows[i] for i in batch]
        with torch.inference_mode():
            places = to_device(np.asarray(batch), packed.device)
            means[:, places] = _packed_means(packed, encoded, full)
        tokens = sum(len(row.ids) for row in encoded)
        progress(len(batch), tokens, flops_per_token * tokens)

    batches.run([len(row.ids) for row in rows], compute, length_key(packed.net))
    return Losses(*means.cpu().numpy())


def _packed_means(packed: Packed, rows: list[Encoded], full: bool) -> Tensor:
    """The fields of `Losses` of some rows in one batch (float64, 4 b)."""
    import torch

    starts = np.cumsum([0, *(len(row.ids) for row in rows)])
    response = np.concatenate([row.response for row in rows])
    wanted = np.ones_like(response) if full else response.copy()
    wanted[starts[:-1]] = False  # nothing predicts a row's first token
    targets = np.flatnonzero(wanted)
    counts = np.add.reduceat(wanted, starts[:-1], dtype=np.int64)
    ids = to_device(np.concatenate([row.ids for row in rows])[targets], packed.device)
    nll = torch.zeros(0, dtype=torch.float64, device=packed.device)
    if len(targets):
        places = to_device(targets - 1, packed.device)
        logits = packed([row.ids for row in rows], logits_to_keep=places).logits[0]
        nll = _token_nll(logits, ids.long())
    in_response = to_device(response[targets], packed.device).double()
    lengths = to_device(counts, packed.device)
    columns = [nll * in_response, torch.exp(-nll) * in_response, in_response]
    columns += [nll, nll * (1 - in_response), torch.ones_like(nll)] if full else []
    sums = segment_sums(torch.stack(columns, 1), lengths).T
    means = torch.full((4, len(rows)), torch.nan, dtype=torch.float64, device=packed.device)
    means[1:3] = sums[:2] / sums[2]
    if full:
        means[0], means[3] = sums[3] / sums[5], sums[4] / (sums[5] - sums[2])
    return means


def _token_nll(logits: Tensor, targets: Tensor) -> Tensor:
    """The loss of every target (float64, k); only some tokens' logits are in fp32 at a time."""
    import torch

    parts = zip(logits.split(TOKENS_IN_FP32), targets.split(TOKENS_IN_FP32), strict=True)
    cross_entropy = partial(torch.nn.functional.cross_entropy, reduction="none")
    return torch.cat([cross_entropy(part.float(), ids) for part, ids in parts]).double()


def _mean(values: Tensor, mask: Tensor) -> np.ndarray:
    """Mean over the tokens of a mask, by row; NaN for a row without any."""
    return ((values * mask).sum(1) / mask.sum(1)).cpu().numpy()


def response_only_loss(
    net: PreTrainedModel | Packed,
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
