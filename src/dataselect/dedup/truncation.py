"""Finds the rows of whose responses `max_tokens` leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dataselect.data.tables import Message
from dataselect.data.tool_use import ToolConversation
from dataselect.dedup.turns import PLAIN_ROLES, Turns
from dataselect.dedup.unusable import NO_FORM
from dataselect.models.settings import TokenizerSettings

if TYPE_CHECKING:
    from dataselect.models.chat import Chat

#: Why a row is left out of whose first response nothing is left.
CUT_OFF = "response entirely cut off by max_tokens"

#: More bytes than a built-in chat format puts around a turn.
HEADER_BYTES = 64

#: More bytes than it puts before the first turn, if any.
OPENING_BYTES = {"alpaca": 128}


def _all(turns: Turns) -> np.ndarray:
    return np.ones(len(turns.edges) - 1, dtype=bool)


@dataclass(frozen=True)
class Truncation:
    """Finds the conversations that `max_tokens` cuts off, or that the model cannot read.

    Attributes:
        check: conversations (n) → of each, whether `max_tokens` leaves nothing of its first
            response; or, as text, why the model cannot read it at all (n).
        doubtful: conversations without tools (n) → which of them `check` must see; it would find
            nothing in the others (bool, n).
    """

    check: Callable[[list[list[Message]]], list[bool | str]]
    doubtful: Callable[[Turns], np.ndarray] = _all

    def __call__(self, rows: list[list[Message]]) -> list[bool | str]:
        """The results of `check`."""
        return self.check(rows)


def find_truncated(model: TokenizerSettings, *, keep: bool = False) -> Truncation:
    """A check that says of each conversation whether its first response is cut off entirely.

    A token stands for at least one byte, so only rows whose prompt has at least `max_tokens` bytes
    are tokenised; where there are none, no tokenizer is loaded. A tokenizer's own template may put
    any text in front: with it, every row is tokenised. Rows with tools are left out where the chat
    format has no form for them.

    Args:
        model: the tokenizer of the model to be trained.
        keep: only finds what the chat format cannot write.

    Source: hamishivi/automated-instruction-selection@df71a04 keeps such rows in the pool; its
    training leaves them out, as ours does.
    """
    chat: Chat | None = None
    own_template = model.chat == "model"
    prompt_bytes = model.max_tokens - OPENING_BYTES.get(model.chat, 0)

    def check(rows: list[list[Message]]) -> list[bool | str]:
        nonlocal chat
        results: list[bool | str] = [
            NO_FORM if isinstance(row, ToolConversation) and not own_template else False
            for row in rows
        ]
        doubtful = [
            i
            for i, row in enumerate(rows)
            if own_template or not (results[i] or keep or _bytes(row) < prompt_bytes)
        ]
        if not doubtful:
            return results
        if chat is None:
            from dataselect.models.chat import load_chat

            chat = load_chat(model)
        if own_template:
            for i in doubtful:
                results[i] = _rejection(chat, rows[i]) or False
        readable = [] if keep else [i for i in doubtful if not results[i]]
        encoded = chat.encode([rows[i] for i in readable]) if readable else []
        for i, row in zip(readable, encoded, strict=True):
            results[i] = not row.has_response
        return results

    def doubtful(turns: Turns) -> np.ndarray:
        return _all(turns) & (own_template or (not keep and _most_bytes(turns) >= prompt_bytes))

    return Truncation(check, doubtful)


def _rejection(chat: Chat, row: list[Message]) -> str | None:
    from dataselect.models.templates import TemplateRejected, ToolUseRejected

    try:
        chat.render(row)
    except ToolUseRejected as error:
        return f"{error.reason} by the model's chat template"
    except TemplateRejected:
        return "refused by the model's chat template"
    return None


def _bytes(row: list[Message]) -> int:
    """An upper bound on the bytes up to the end of the first response's first token."""
    count = 0
    for turn in row:
        count += HEADER_BYTES
        if turn["role"] == "assistant":
            break
        count += len(turn["content"].encode("utf-8", "surrogatepass"))
    return count


def _most_bytes(turns: Turns) -> np.ndarray:
    """The bound of `_bytes` for many conversations (int64, n)."""
    before, first, end = turns.offsets, turns.edges[:-1], turns.edges[1:]
    is_reply = turns.roles == PLAIN_ROLES.index("assistant")
    replies = np.append(np.flatnonzero(is_reply), len(turns.roles))
    # The first reply behind the beginning, unless the conversation ends before it.
    reply = replies[np.searchsorted(replies, first)]
    headers = np.minimum(reply + 1, end) - first
    return headers * HEADER_BYTES + before[np.minimum(reply, end)] - before[first]
