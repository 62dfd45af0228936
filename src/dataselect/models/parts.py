"""Parts of a conversation encoded without what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dataselect.compute.prefetch import batched
from dataselect.models.chat import ROWS_PER_BLOCK, Chat, Encoded
from dataselect.models.tokens import Tokens

if TYPE_CHECKING:
    from dataselect.data.tables import Message

#: Characters of a response that decide the tokens before it: a token holds few of them.
LOOK_AHEAD = 64


def encode_responses(chat: Chat, rows: list[list[Message]]) -> list[tuple[int, Encoded]]:
    """Every response of some conversations, alone after the bare assistant header.

    A response has the very tokens that it has in its conversation, also those that `max_tokens`
    cuts off there. Before them is what the chat template puts before a response, which is what it
    adds for a generation prompt; no system prompt, and no turn. Where a template adds nothing, a
    response follows the BOS alone.

    Returns:
        For each response its row's number and its tokens, of which the header's are not marked, in
        the order of the rows and of their turns.

    Raises:
        TemplateRejected: the tokenizer's own template rejects a conversation.

    Source: the denominator of IFD in tianyi-lab/Cherry_LLM@01fac8d, there for single turns.
    """
    numbered = list(enumerate(rows))
    return [row for block in batched(numbered, ROWS_PER_BLOCK) for row in _responses(chat, block)]


def _responses(chat: Chat, rows: list[tuple[int, list[Message]]]) -> list[tuple[int, Encoded]]:
    rendered = [chat.render(row) for _, row in rows]
    conversations = chat.tokenize([text for text, _ in rendered])
    found: list[tuple[int, list[int]]] = []  # a row's number, the tokens of a response
    starts: list[str] = []
    for (number, _), tokens, (text, spans) in zip(rows, conversations, rendered, strict=True):
        for first, last in spans:
            found.append((number, tokens.ids[tokens.within((first, last))]))
            starts.append(chat.opening + text[first : min(last, first + LOOK_AHEAD)])
    openings = chat.tokenize(starts) if starts else []
    return [
        (number, _behind(chat, opening, ids))
        for (number, ids), opening in zip(found, openings, strict=True)
    ]


def _behind(chat: Chat, opening: Tokens, response: list[int]) -> Encoded:
    """A response's tokens behind those of the opening that share no character with it."""
    header = opening.ids[: opening.within((len(chat.opening), len(chat.opening))).start]
    mask = np.arange(len(header) + len(response)) >= len(header)
    return chat.finish(header + response, mask)
