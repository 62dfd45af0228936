"""…"""

from __future__ import annotations

import hashlib
from typing import Any

from dataselect.data.tables import Message


def duplicate_key(turns: list[Message]) -> str:
    """What two rows must share to be duplicates: every `role: content`, stripped, line by line.

    Source: hamishivi/automated-instruction-selection@df71a04; here as an MD5.
    """
    text = "\n".join(f"{turn['role']}: {turn['content'].strip()}" for turn in turns)
    return hashlib.md5(text.encode("utf-8", "surrogatepass")).hexdigest()


def reason_to_drop(turns: list[Message]) -> str | None:
    """Why nothing can be learned from a conversation, or None where something can."""
    if not any(turn["content"].strip() for turn in turns):
        return "empty"
    responses = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    if not responses:
        return "no assistant turn"
    if not any(response.strip() for response in responses):
        return "empty response"
    return None


ROLES = ("system", "user", "assistant")


#: ShareGPT's names of the speakers, and what other collections write.
SPEAKERS = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}


class BadRow(ValueError):
    """A row that cannot be understood: expected, found."""


def text_field(record: dict[str, Any], *names: str) -> str | None:
    """The first of these columns that has something, as text: an id, a source, a task.

    Raises:
        BadRow: the text is not valid Unicode.
    """
    for name in names:
        if record.get(name) not in (None, ""):
            return _checked_text(str(record[name]), name)
    return None


def text_list_field(record: dict[str, Any], name: str) -> list[str] | None:
    """A column that lists texts or numbers, as texts; None where it has nothing.

    Raises:
        BadRow: it is no list, or something in it is null.
    """
    given = record.get(name)
    if given is None:
        return None
    if not isinstance(given, list):
        raise BadRow(f"{name}: expected a list, found {_json_type(given)}")
    return [_checked_text(one if one is None else str(one), name) for one in given]


def parse_messages(record: dict[str, Any]) -> list[Message]:
    """A row's conversation, whichever of the four forms it is in.

    `messages` (role, content); ShareGPT's `conversations` (from, value); alpaca's `instruction`,
    `input`, `output`; `prompt` and `completion`, as text or as messages. A `system` column beside
    the last three opens the conversation.

    Raises:
        BadRow: none of them is there, a role is unknown, or a content is not text.
    """
    if record.get("messages") is not None:
        return _turns(record["messages"], "messages", "role", "content")
    system = record.get("system") or record.get("system_prompt")
    head = [{"role": "system", "content": _checked_text(system, "system")}] if system else []
    if record.get("conversations") is not None:
        return head + _turns(record["conversations"], "conversations", "from", "value")
    if record.get("instruction") is not None and record.get("output") is not None:
        asked = [record["instruction"], record.get("input") or ""]
        user = "\n\n".join(_checked_text(part, "instruction and input") for part in asked if part)
        return head + _pair(user, _checked_text(record["output"], "output"))
    if record.get("prompt") is not None:
        asked = _prompt_or_completion("user", record["prompt"], "prompt")
        return (
            head
            + asked
            + _prompt_or_completion("assistant", record.get("completion"), "completion")
        )
    found = ", ".join(record) or "nothing"
    raise BadRow(
        "no messages: expected a column `messages`, `conversations`, `instruction` and `output`, "
        f"or `prompt` and `completion`; found {found}"
    )


def _pair(user: str, assistant: str) -> list[Message]:
    return [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]


def _prompt_or_completion(role: str, what: Any, column: str) -> list[Message]:
    """A prompt or a completion: one turn where it is text, else the messages that it is."""
    if what is None:
        return []
    if isinstance(what, str):
        return [{"role": role, "content": _checked_text(what, column)}]
    return _turns(what, column, "role", "content")


def _turns(turns: Any, column: str, role: str, content: str) -> list[Message]:
    if not isinstance(turns, list):
        raise BadRow(f"{column}: expected a list of turns, found {_json_type(turns)}")
    answer = []
    for number, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            raise BadRow(f"{column}: turn {number}: expected an object, found {turn!r:.60}")
        name = turn.get(role, turn.get("role"))
        name = SPEAKERS.get(str(name), name)
        if name not in ROLES:
            known = ", ".join(ROLES)
            raise BadRow(f"{column}: turn {number}: unknown role {name!r}; expected one of {known}")
        text = _checked_text(turn.get(content, turn.get("content")), f"{column}: turn {number}")
        answer.append({"role": name, "content": text})
    return answer


def _checked_text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise BadRow(f"{what}: expected text, found {_json_type(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = value[error.start]
            raise BadRow(f"{what}: not valid Unicode: half a surrogate pair, {half!r}") from None
    return value


def _json_type(value: Any) -> str:
    """What a value is, in JSON's words."""
    names: dict[type, str] = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)
