"""What the page shows of a row's conversation: excerpts in which no character does anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import polars as pl

from dataselect.errors import inert

#: Characters of an id that are shown.
ID_LENGTH = 120


class Excerpt(NamedTuple):
    """A row as the page has it.

    Attributes:
        id: of the row.
        prompt: the beginning of its first user turn.
        response: the beginning of its first assistant turn.
        characters: of all its turns.
    """

    id: str
    prompt: str
    response: str
    characters: int


def excerpts(pool: pl.DataFrame, limit: int) -> list[Excerpt]:
    """The excerpts of rows with `id` and `messages`.

    Args:
        limit: characters of prompt and response together; either may use what the other leaves,
            and each has half if it needs it.
    """
    return [
        _excerpt(name, messages, limit)
        for name, messages in zip(pool["id"], pool["messages"].to_list(), strict=True)
    ]


def _excerpt(name: str, messages: list[dict[str, Any]], limit: int) -> Excerpt:
    prompt, response = (_first(messages, role) for role in ("user", "assistant"))
    own = min(len(prompt), max(limit - limit // 2, limit - len(response)))
    characters = sum(len(turn["content"] or "") for turn in messages)
    return Excerpt(
        inert(shorten(name, ID_LENGTH)),
        inert(shorten(prompt, own)),
        inert(shorten(response, limit - own)),
        characters,
    )


def _first(messages: list[dict[str, Any]], role: str) -> str:
    return next((turn["content"] or "" for turn in messages if turn["role"] == role), "")


def shorten(text: str, limit: int) -> str:
    """A text's first characters; an ellipsis tells that there are more."""
    return text if len(text) <= limit else text[:limit] + "…"


def in_blocks(items: Iterable[Excerpt], size: int) -> Iterator[list[Excerpt]]:
    """Lists of so many excerpts; the last may be shorter."""
    block: list[Excerpt] = []
    for item in items:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
