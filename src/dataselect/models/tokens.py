"""A text as tokens, and where in the text each of them is."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import NamedTuple


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
