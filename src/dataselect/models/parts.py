"""Parts of a conversation encoded without what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from dataselect.compute.prefetch import batched
from dataselect.data.examples import Example
from dataselect.models.chat import ROWS_PER_BLOCK, Chat, Encoded
from dataselect.models.examples import example_tokens
from dataselect.models.tokens import Tokens

if TYPE_CHECKING:
    from dataselect.data.tables import Message

Part = Literal["prompt", "response"]

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


def encode_part(chat: Chat, rows: list[list[Message]], side: str, part: Part) -> list[Encoded]:
    """One part of each conversation, encoded as if it were all, with all its tokens marked.

    Of a row of the pool, `prompt` is what stands before its first response, and an eos; `response`
    is the assistant's header, the first response and its eos. A query's response is its last turn,
    the label, if that is the assistant's: a BOS, the response and its eos; its prompt is what
    stands before that. With a model's own template a response ends as the template ends it. An
    `Example` has the tokens that it has as a whole, and its limit cuts each part.

    Args:
        side: `pool` or `queries`.

    Returns:
        In the order of the rows; a row without the part is one token that is not marked.

    Raises:
        TemplateRejected: the tokenizer's own template rejects a conversation.

    Source: hamishivi/automated-instruction-selection@df71a04 (`encode_with_messages_format`,
    `construct_test_sample`). Of a query of several turns it drops the headers of earlier responses
    from the prompt; here they stay.
    """
    write = _prompt if part == "prompt" else _response
    together = [row for row in rows if not isinstance(row, Example)]
    texts = [write(chat, row, is_query=side == "queries") for row in together]
    tokens = chat.tokenize([text or "" for text in texts]) if texts else []
    written = iter(
        None if text is None else row.ids for text, row in zip(texts, tokens, strict=True)
    )
    ids = (_example(chat, row, part) if isinstance(row, Example) else next(written) for row in rows)
    return [ABSENT if row is None else _all_marked(chat, row) for row in ids]


#: A row without the part.
ABSENT = Encoded(np.zeros(1, dtype=np.int32), np.zeros(1, dtype=bool))


def _all_marked(chat: Chat, ids: list[int]) -> Encoded:
    encoded = chat.finish(ids, np.ones(len(ids), dtype=bool))
    return encoded._replace(response=np.ones(len(encoded.ids), dtype=bool))


def _example(chat: Chat, row: Example, part: Part) -> list[int] | None:
    """The token ids of the prompt and an eos, or of a BOS, the answer and an eos; None if nothing.

    The limit counts the tokens that `encode_example` counts.
    """
    before, after, end = example_tokens(chat, row)
    if part == "prompt":
        eos = chat.tokenizer.eos_token_id
        ids = before + ([eos] if isinstance(eos, int) else [])
        return ids[: row.max_tokens] if before else None
    bos = chat.tokenizer.bos_token_id
    label = (after + end)[: row.max_tokens]
    return ([bos] if isinstance(bos, int) else []) + label if after else None


def _response_place(row: list[Message], *, is_query: bool) -> int:
    """The place of the turn that is the response; the number of turns where there is none."""
    places = range(max(len(row) - 1, 0), len(row)) if is_query else range(len(row))
    return next((place for place in places if row[place]["role"] == "assistant"), len(row))


def _prompt(chat: Chat, row: list[Message], *, is_query: bool) -> str | None:
    """The text of what stands before the response; None if nothing."""
    before = row[: _response_place(row, is_query=is_query)]
    if not before:
        return None
    eos = chat.tokenizer.eos_token or ""
    text = chat.render(before)[0].rstrip()
    return text if text.endswith(eos) else text + eos  # templates may end a turn with it


def _response(chat: Chat, row: list[Message], *, is_query: bool) -> str | None:
    """The text of the first response behind its header, or of a query's last behind a BOS."""
    if _response_place(row, is_query=is_query) == len(row):
        return None
    opening = (chat.tokenizer.bos_token or "") if is_query else chat.opening
    text, spans = chat.render(row)
    if not spans:
        return None
    first, last = spans[-1 if is_query else 0]
    return opening + text[first:last].rstrip()
