"""A row's length in tokens: takes a tokenizer, and no model."""

from __future__ import annotations

import numpy as np

from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed import Feature
from dataselect.models.chat import NO_LIMIT, load_chat
from dataselect.models.settings import ModelSettings
from dataselect.report import Progress


def lengths() -> Feature:
    """Counts a row's tokens before truncation.

    Gives `tokens` (every token of the formatted row) and `response_tokens`: int64, b.

    Source: the length baseline in the appendix of arXiv 2503.01807, which does not say which
    tokens were counted.
    """
    return Feature(
        load=_load,
        outputs=("tokens", "response_tokens"),
        bytes_per_row=lambda hidden_size, checkpoints: 16,
        needs_positions=False,
    )


def _load(model: ModelSettings, checkpoints: list[Checkpoint]) -> Featurizer:
    chat = load_chat(model, max_tokens=NO_LIMIT)

    def featurize(rows: list, side: str, progress: Progress) -> dict[str, np.ndarray]:
        encoded = chat.encode(rows)
        tokens = [len(row.ids) for row in encoded]
        response_tokens = [int(row.response.sum()) for row in encoded]
        progress(len(rows), sum(tokens))
        return {
            "tokens": np.asarray(tokens, dtype=np.int64),
            "response_tokens": np.asarray(response_tokens, dtype=np.int64),
        }

    return featurize
