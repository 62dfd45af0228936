"""Conversations with tools: their form in memory, and in a column of a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dataselect.data.schemas import Message

#: The keys that every turn has.
TEXT_KEYS = {"role", "content"}

#: Names that stand for a call in its result: they say nothing, and differ between equal rows.
ID_KEYS = {"id", "tool_call_id"}


class ToolConversation(list[Message]):
    """A conversation in which tools are given, called, or answer. A part of it has its tools.

    The turns are as in OpenAI's API, but for the arguments of a call, which are an object, as chat
    templates expect. Beside `role` and `content`, an assistant's turn may have `tool_calls`:
    objects with `type: function`, `function` (`name`, `arguments`), and perhaps an `id`. A result
    is a turn of the role `tool`; it may have a `tool_call_id` and a `name`.

    Attributes:
        tools: what the assistant may call, each as a JSON schema: `type: function` and `function`
            (`name`, `description`, `parameters`); None: not given.
    """

    def __init__(
        self, turns: Iterable[Message] = (), tools: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(turns)
        self.tools = tools

    def __getitem__(self, place: Any) -> Any:
        """A turn; or, of a slice, a conversation with the same tools."""
        found = super().__getitem__(place)
        return ToolConversation(found, self.tools) if isinstance(place, slice) else found


def conversation(turns: list[Message], tools: list[dict[str, Any]] | None) -> list[Message]:
    """The turns as a `ToolConversation` where there are tools, calls or results; else as they are.

    Args:
        turns: in the form that `ToolConversation` describes.
    """
    uses_tools = tools or any(
        turn["role"] == "tool" or len(turn) > len(TEXT_KEYS) for turn in turns
    )
    return ToolConversation(turns, tools) if uses_tools else turns


def with_turns(row: list[Message], turns: list[Message]) -> list[Message]:
    """Other turns, with the tools of a row where it has some."""
    return ToolConversation(turns, row.tools) if isinstance(row, ToolConversation) else turns


def to_column(row: list[Message]) -> str | None:
    """What the column `tool_use` holds of a row: JSON of its tools and its turns' further keys.

    Raises:
        ValueError, TypeError: something in it has no form in JSON.
    """
    if not isinstance(row, ToolConversation):
        return None
    further = {str(place): _further(turn) for place, turn in enumerate(row) if _further(turn)}
    return json.dumps({"tools": row.tools, "turns": further}, ensure_ascii=False, allow_nan=False)


def from_columns(messages: list[Message], tool_use: str) -> ToolConversation:
    """The conversation of which a table has the columns `messages` and `tool_use`."""
    stored = json.loads(tool_use)
    further = stored["turns"]
    turns = (turn | further.get(str(place), {}) for place, turn in enumerate(messages))
    return ToolConversation(turns, stored["tools"])


def identity(row: ToolConversation) -> str:
    """What two rows with the same texts must share to be the same: tools, and calls without ids."""
    calls = [[_without_ids(call) for call in turn.get("tool_calls", ())] for turn in row]
    return json.dumps([row.tools, calls], sort_keys=True)


def _further(turn: Message) -> dict[str, Any]:
    return {key: value for key, value in turn.items() if key not in TEXT_KEYS}


def _without_ids(call: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in call.items() if key not in ID_KEYS}
