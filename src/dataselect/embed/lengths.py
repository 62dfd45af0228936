"""A row's length in tokens: needs a tokenizer, and no model."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataselect.data.shards import Featurizer
from dataselect.models.chat import Chat


def gives(**settings: object) -> tuple[str, ...]:
    """The arrays of these features."""
    return ("tokens", "response_tokens")


def bytes_a_row(**settings: object) -> int:
    """What is stored of a row."""
    return 16


def lengths(model: dict[str, Any]) -> Featurizer:
    """How long a row is, before `max_tokens` cuts it.

    Returns:
        A function of conversations that gives `tokens` and `response_tokens` (int64, b).

    Source: the length baseline of arXiv 2503.01807's appendix, which does not say what was
    counted; here every token of the formatted row.
    """
    from dataselect.models.load import load_tokenizer

    chat = Chat(load_tokenizer(model), model["chat"], max_tokens=2**31)

    def compute(rows: list, side: str, advance: Any) -> dict[str, np.ndarray]:
        encoded = chat.encode(rows)
        advance(len(rows), sum(len(row.ids) for row in encoded))
        return {
            "tokens": np.asarray([len(row.ids) for row in encoded], dtype=np.int64),
            "response_tokens": np.asarray(
                [int(row.response.sum()) for row in encoded], dtype=np.int64
            ),
        }

    return compute
