"""Parts of a conversation encoded without what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from dataselect.compute.prefetch import batched
from dataselect.data.examples import Example
from dataselect.models.chat import ROWS_PER_BLOCK, Chat, Encoded
from dataselect.models.examples import prompt_and_answer
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
    is the assistant's header, the first response and its eos. A query's response is its last, the
    label: a BOS, the response and its eos; its prompt is what stands before that. With a model's
    own template a response ends as the template ends it.

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
    texts = [write(chat, row, is_query=side == "queries") for row in rows]
    tokens = chat.tokenize([text or "" for text in texts])
    return [
        ABSENT if text is None else _all_marked(chat, row.ids)
        for text, row in zip(texts, tokens, strict=True)
    ]


#: A row without the part.
ABSENT = Encoded(np.zeros(1, dtype=np.int32), np.zeros(1, dtype=bool))


def _all_marked(chat: Chat, ids: list[int]) -> Encoded:
    encoded = chat.finish(ids, np.ones(len(ids), dtype=bool))
    return encoded._replace(response=np.ones(len(encoded.ids), dtype=bool))


def _prompt(chat: Chat, row: list[Message], *, is_query: bool) -> str | None:
    """The text of what stands before the first response, or a query's last; None if nothing."""
    places = [place for place, turn in enumerate(row) if turn["role"] == "assistant"]
    before = row[: places[-1 if is_query else 0]] if places else row
    if not before:
        return None
    eos = chat.tokenizer.eos_token or ""
    if isinstance(row, Example):
        return prompt_and_answer(chat, row)[0] + eos
    text = chat.render(before)[0].rstrip()
    return text if text.endswith(eos) else text + eos  # templates may end a turn with it


def _response(chat: Chat, row: list[Message], *, is_query: bool) -> str | None:
    """The text of the first response behind its header, or of a query's last behind a BOS."""
    opening = (chat.tokenizer.bos_token or "") if is_query else chat.opening
    if isinstance(row, Example):
        answer_text = prompt_and_answer(chat, row)[1]
        return (
            None
            if answer_text is None
            else opening + answer_text + (chat.tokenizer.eos_token or "")
        )
    text, spans = chat.render(row)
    if not spans:
        return None
    first, last = spans[-1 if is_query else 0]
    return opening + text[first:last].rstrip()
