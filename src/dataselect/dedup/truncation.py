"""Finds the rows of whose responses `max_tokens` leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dataselect.data.tables import Message
from dataselect.dedup.pool import Truncation

if TYPE_CHECKING:
    from dataselect.models.chat import Chat

#: More bytes than a chat format puts around a turn.
HEADER = 64


def find_truncated(model: dict[str, Any]) -> Truncation:
    """A function that says of each conversation whether its first response is cut off entirely.

    A token stands for at least one byte, so only rows whose prompt has more bytes than
    `max_tokens` are tokenised; where there are none, no tokenizer is loaded. A tokenizer's own
    template may put any text in front: with it, every row is tokenised.

    Args:
        model: name, revision, chat, max_tokens and trust_remote_code of the model to be trained.
    """
    chat: Chat | None = None

    def check(rows: list[list[Message]]) -> list[bool | str]:
        nonlocal chat
        answer: list[bool | str] = [False] * len(rows)
        own = model["chat"] == "model"
        doubtful = [i for i, row in enumerate(rows) if own or _bytes(row) >= model["max_tokens"]]
        if doubtful and chat is None:
            from dataselect.models.chat import Chat
            from dataselect.models.load import load_tokenizer

            chat = Chat(load_tokenizer(model), model["chat"], model["max_tokens"])
        readable = []
        for i in doubtful:
            if chat and own and (refusal := _refusal(chat, rows[i])):
                answer[i] = refusal
            else:
                readable.append(i)
        encoded = chat.encode([rows[i] for i in readable]) if chat and readable else []
        for i, row in zip(readable, encoded, strict=True):
            answer[i] = not row.has_response
        return answer

    return check


def _refusal(chat: Chat, row: list[Message]) -> str | None:
    from dataselect.models.chat import TemplateRejected

    try:
        chat.render(row)
    except TemplateRejected:
        return "refused by the model's chat template"
    return None


def _bytes(row: list[Message]) -> int:
    """At least as many bytes as come before the first response's first token is whole."""
    count = 0
    for turn in row:
        count += HEADER
        if turn["role"] == "assistant":
            break
        count += len(turn["content"].encode("utf-8", "surrogatepass"))
    return count
