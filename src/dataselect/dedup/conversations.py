"""A record of a file, in any of four forms, → a conversation as messages."""

from __future__ import annotations

import hashlib
from typing import Any

from dataselect.data.tables import Message
from dataselect.data.tool_use import ToolConversation, identity
from dataselect.dedup import tool_use
from dataselect.dedup.bad_row import BadRow, checked_text, json_type

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


def text_field(record: dict[str, Any], *names: str) -> str | None:
    """The first of these columns that is not empty, as text: an id, a source, a task.

    Raises:
        BadRow: the text is not valid Unicode.
    """
    for name in names:
        if record.get(name) not in (None, ""):
            return checked_text(str(record[name]), name)
    return None


def text_list_field(record: dict[str, Any], name: str) -> list[str] | None:
    """A column that lists texts or numbers, as texts; None where it is empty.

    Raises:
        BadRow: it is no list, or something in it is null.
    """
    items = record.get(name)
    if items is None:
        return None
    if not isinstance(items, list):
        raise BadRow(f"{name}: expected a list, found {json_type(items)}")
    return [checked_text(item if item is None else str(item), name) for item in items]


def parse_messages(record: dict[str, Any]) -> list[Message]:
    """A row's conversation; a `ToolConversation` where tools are given, called, or answer.

    Raises:
        BadRow: see `_parse_turns` and `tool_use`.
    """
    return tool_use.with_tools(_parse_turns(record), record.get("tools"))


def _parse_turns(record: dict[str, Any]) -> list[Message]:
    """A row's turns, whichever of the four forms it is in.

    `messages` (role, content); ShareGPT's `conversations` (from, value); alpaca's `instruction`,
    `input`, `output`; `prompt` and `completion`, as text or as messages. A `system` column beside
    the last three opens the conversation.

    Raises:
        BadRow: the record has none of them, a role is unknown, or a content is not text.
    """
    if record.get("messages") is not None:
        return _turns(record["messages"], "messages", "role", "content")
    system = record.get("system") or record.get("system_prompt")
    head = [{"role": "system", "content": checked_text(system, "system")}] if system else []
    if record.get("conversations") is not None:
        return head + _turns(record["conversations"], "conversations", "from", "value")
    if record.get("instruction") is not None and record.get("output") is not None:
        return head + _alpaca(record)
    if record.get("prompt") is not None:
        prompt = _prompt_or_completion("user", record["prompt"], "prompt")
        response = _prompt_or_completion("assistant", record.get("completion"), "completion")
        return head + prompt + response
    found = ", ".join(record) or "nothing"
    raise BadRow(
        "no messages: expected a column `messages`, `conversations`, `instruction` and `output`, "
        f"or `prompt` and `completion`; found {found}"
    )


def _alpaca(record: dict[str, Any]) -> list[Message]:
    parts = [record["instruction"], record.get("input") or ""]
    prompt = "\n\n".join(checked_text(part, "instruction and input") for part in parts if part)
    response = checked_text(record["output"], "output")
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]


def _prompt_or_completion(role: str, value: Any, column: str) -> list[Message]:
    """A prompt or a completion: one turn where it is text, else the messages that it is."""
    if value is None:
        return []
    if isinstance(value, str):
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
