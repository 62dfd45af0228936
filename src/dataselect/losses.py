"""The loss of a row's response under a causal language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from dataselect.batches import batches, pad
from dataselect.chat import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def response_nll(
    model: PreTrainedModel,
    rows: list[Encoded],
    advance: Callable[[int], None] = lambda rows: None,
    max_padded_tokens: int = 4_096,
) -> np.ndarray:
    """Mean negative log-likelihood of the response tokens, nats per token (float64, b).

    NaN where a row has no response token. Does not depend on the batches.
    """
    import torch

    answer = np.full(len(rows), np.nan)
    for batch in batches([len(row.ids) for row in rows], max_padded_tokens):
        ids, response, _ = pad([rows[i] for i in batch], str(model.device))
        # Token t is predicted at t − 1: no logits are needed before the first response token's.
        target = response[:, 1:]
        first = int(target.any(0).int().argmax())
        target, wanted = target[:, first:], ids[:, 1 + first :]
        with torch.inference_mode():
            keep = target.shape[1] + 1  # the last token's logits come along and predict nothing
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits[:, :-1]
            # k v, with only the k response tokens in fp32
            nll = torch.nn.functional.cross_entropy(
                logits[target].float(), wanted[target], reduction="none"
            )
        total = torch.zeros(target.shape, dtype=torch.float64, device=ids.device)
        total[target] = nll.double()
        answer[batch] = (total.sum(1) / target.sum(1)).cpu().numpy()
        advance(len(batch))
    return answer


def last_response(row: Encoded) -> Encoded:
    """The same tokens with only the last response marked: a test's gold answer."""
    starts = np.flatnonzero(row.response & ~np.r_[False, row.response[:-1]])
    kept = row.response.copy()
    if len(starts):
        kept[: starts[-1]] = False
    return Encoded(row.ids, kept)
