"""Instruction-following difficulty: what the instruction does for its response."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataselect.data.scores import Group, Pool, Scores

APART = True


def needs(**settings: object) -> tuple[str, ...]:
    """The arrays that are looked at."""
    return ("response_nll", "direct_nll", "cut")


def ifd(pool: Pool) -> Scores:
    """S[d] is the response's mean loss given the instruction over its mean loss alone.

    The nearer to 1, the less the instruction helps, the more there is to learn. A ratio above 1
    (the instruction hurts: the two do not belong together) and a cut-off row are no candidates.

    Source: arXiv 2308.12032, tianyi-lab/Cherry_LLM; over all assistant turns of a row.
    """

    def blocks() -> Iterator[np.ndarray]:
        for rows in pool.blocks:
            given, alone = rows.features["response_nll"], rows.features["direct_nll"]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = given / alone
            usable = np.isfinite(ratio) & (ratio <= 1) & ~rows.features["cut"]
            yield np.where(usable, ratio, -np.inf).astype(np.float32)[:, None]

    return Scores([Group("pool", None)], blocks())
