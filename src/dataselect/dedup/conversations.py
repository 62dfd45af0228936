"""A record of a file, in any of four forms, → a conversation as messages."""

from __future__ import annotations

import hashlib
from typing import Any

from dataselect.data.tables import Message
from dataselect.data.tool_use import ToolConversation, identity
from dataselect.dedup import tool_use
from dataselect.dedup.fields import (
    POOL_COLUMNS,
    BadRow,
    NoMessages,
    checked_text,
    is_missing,
    json_type,
    turns_from_json,
    value_of,
)

ROLES = ("system", "developer", "user", "assistant", "tool")

#: ShareGPT's names of the speakers, and those of other collections.
SPEAKERS = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}
SPEAKERS |= tool_use.SPEAKERS


def duplicate_key(turns: list[Message]) -> str:
    """What two rows must share to be duplicates: every `role: content`, stripped, line by line.

    With tools, also these, and the calls.

    Source: hamishivi/automated-instruction-selection@df71a04; here as an MD5.
    """
    text = "\n".join(f"{turn['role']}: {turn['content'].strip()}" for turn in turns)
    if isinstance(turns, ToolConversation):
        text += f"\n{identity(turns)}"
    return hashlib.md5(text.encode("utf-8", "surrogatepass")).hexdigest()


def reason_to_drop(turns: list[Message]) -> str | None:
    """Why nothing can be learned from a conversation, or None where something can."""
    if not any(_has_content(turn) for turn in turns):
        return "empty"
    responses = [turn for turn in turns if turn["role"] == "assistant"]
    if not responses:
        return "no assistant turn"
    if not any(_has_content(turn) for turn in responses):
        return "empty response"
    return None


def _has_content(turn: Message) -> bool:
    return bool(turn["content"].strip() or turn.get("tool_calls"))


def parse_messages(record: dict[str, Any]) -> list[Message]:
    """A row's conversation; a `ToolConversation` where tools are given, called, or answer.

    Raises:
        BadRow: see `_parse_turns` and `tool_use`.
    """
    return tool_use.with_tools(_parse_turns(record), value_of(record, "tools"))


def _parse_turns(record: dict[str, Any]) -> list[Message]:
    """A row's turns, whichever of the four forms it is in.

    `messages` (role, content); ShareGPT's `conversations` (from, value); alpaca's `instruction`,
    `input`, `output`; `prompt` and `completion` or `response`, as text or as messages. The first
    two may be lists written as JSON. A `system` column beside the last three opens the
    conversation. A number is taken as its text.

    Raises:
        NoMessages: the record has none of them.
        BadRow: a role is unknown, or a content is not text.
    """
    if not is_missing(record.get("messages")):
        return _turns(
            turns_from_json(record["messages"], "messages"), "messages", "role", "content"
        )
    named = [record.get(name) for name in ("system", "system_prompt")]
    system = [checked_text(text, "system") for text in named if not is_missing(text)]
    head = [{"role": "system", "content": text} for text in system[:1]]
    if not is_missing(record.get("conversations")):
        turns = turns_from_json(record["conversations"], "conversations")
        return head + _turns(turns, "conversations", "from", "value")
    prompt, instruction = value_of(record, "prompt"), value_of(record, "instruction")
    # Without a prompt, an instruction whose output is missing is the user's turn alone.
    if instruction is not None and (
        value_of(record, "output") is not None or ("output" in record and prompt is None)
    ):
        return head + _alpaca(record)
    if prompt is not None:
        return head + _prompt_or_response("user", prompt, "prompt") + _response(record)
    raise NoMessages(
        "no messages: expected a column `messages`, `conversations`, `instruction` and `output`, "
        f"or `prompt` and `completion` or `response`; found {_found(record)}"
    )


def _found(record: dict[str, Any]) -> str:
    """The names of a record's columns, and which of those we read are empty."""
    names = [
        f"{name} (empty)" if name in POOL_COLUMNS and is_missing(value) else name
        for name, value in record.items()
    ]
    return ", ".join(names) or "nothing"


def _alpaca(record: dict[str, Any]) -> list[Message]:
    parts = [record["instruction"], value_of(record, "input")]
    texts = [checked_text(part, "instruction and input") for part in parts if not is_missing(part)]
    user: Message = {"role": "user", "content": "\n\n".join(texts)}
    return [user, *_prompt_or_response("assistant", value_of(record, "output"), "output")]


def _response(record: dict[str, Any]) -> list[Message]:
    """The turns of `completion`, else of `response`; none where both are missing."""
    given = [name for name in ("completion", "response") if value_of(record, name) is not None]
    filled = [name for name in given if not is_missing(record[name])]
    for column in filled or given:
        return _prompt_or_response("assistant", record[column], column)
    return []


def _prompt_or_response(role: str, value: Any, column: str) -> list[Message]:
    """A prompt or a response: one turn where it is text, else the messages that it is."""
    if value is None:
        return []
    if not isinstance(value, list) or column == "output":
        return [{"role": role, "content": checked_text(value, column)}]
    return _turns(value, column, "role", "content")


def _turns(turns: Any, column: str, role: str, content: str) -> list[Message]:
    """A list of turns as messages.

    Args:
        role: the key of a turn's speaker, beside `role` itself.
        content: the key of a turn's text, beside `content` itself.
    """
    if not isinstance(turns, list):
        raise BadRow(f"{column}: expected a list of turns, found {json_type(turns)}")
    messages = []
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            raise BadRow(f"{column}: turn {number}: expected an object, found {turn!r:.60}")
        speaker = turn.get(role, turn.get("role"))
        name = SPEAKERS.get(str(speaker), speaker)
        if name not in ROLES:
            known = ", ".join(ROLES)
            raise BadRow(f"{column}: turn {number}: unknown role {name!r}; expected one of {known}")
        value, where = turn.get(content, turn.get("content")), f"{column}: turn {number}"
        value, further = tool_use.parse_turn(turn, speaker, name, value, where)
        messages.append({"role": name, "content": checked_text(value, where), **further})
    return messages
