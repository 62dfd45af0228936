"""What the page shows of a row's conversation: excerpts in which no character does anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import polars as pl

#: Control characters but line break and tab, and those that turn the direction of writing.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
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


def inert(text: str) -> str:
    """A text whose control characters are replaced by the signs for them.

    >>> inert("a\\x1b[31mred")
    'a␛[31mred'
    """
    if not UNSAFE.search(text):
        return text
    return UNSAFE.sub(_sign, text.replace("\r\n", "\n"))


def _sign(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"


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
