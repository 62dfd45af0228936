"""Texts and conversations as tokens: where in the text each is, which are the responses'."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import NamedTuple

import numpy as np


class Tokens(NamedTuple):
    """A text as tokens.

    Attributes:
        ids: token ids (t).
        offsets: of every token its first character, and one past its last (t).
    """

    ids: list[int]
    offsets: list[tuple[int, int]]

    def within(self, span: tuple[int, int]) -> slice:
        """Which tokens share a character with a span of the text."""
        start = bisect_right(self.offsets, span[0], key=itemgetter(1))
        return slice(start, max(start, bisect_left(self.offsets, span[1], key=itemgetter(0))))


class Encoded(NamedTuple):
    """A conversation as tokens.

    Attributes:
        ids: token ids (int32, t).
        response: which tokens are the responses' (bool, t).
        truncated: whether `max_tokens` cut it.
    """

    ids: np.ndarray
    response: np.ndarray
    truncated: bool = False

    @property
    def has_response(self) -> bool:
        """Whether a response token is predicted, as every token but the first is."""
        return bool(self.response[1:].any())


def mark_last_response(row: Encoded) -> Encoded:
    """The same tokens with only the last response marked: a test's reference answer."""
    starts = np.flatnonzero(row.response & ~np.r_[False, row.response[:-1]])
    response = row.response.copy()
    if len(starts):
        response[: starts[-1]] = False
    return row._replace(response=response)
