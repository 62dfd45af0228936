"""The tools of a record, its calls and their results, in OpenAI's and ShareGPT's forms."""

from __future__ import annotations

import json
from typing import Any

from dataselect.data import tool_use
from dataselect.data.tables import Message
from dataselect.dedup.fields import BadRow, checked_text, json_type

#: The speaker of a turn whose text is a call.
CALLER = "function_call"

#: Names of the speakers of tool use, and the role of each.
SPEAKERS = {CALLER: "assistant", "observation": "tool", "ipython": "tool", "function": "tool"}

#: The most objects and lists in each other of a tool or a call.
MAX_LEVELS = 64


def with_tools(turns: list[Message], tools: Any) -> list[Message]:
    """The turns of a row; a `ToolConversation` where tools are given, called, or answer.

    Args:
        tools: the row's column `tools`: a list of objects, or JSON text of one; may be empty.

    Raises:
        BadRow: the column is something else, or holds what JSON cannot.
    """
    row = tool_use.conversation(turns, _tools(tools))
    if row is turns:
        return turns
    try:
        text = tool_use.to_column(row)
    except (TypeError, ValueError) as error:
        raise BadRow(f"tools and tool calls: expected values of JSON; {error}") from None
    checked_text(text or "", "tools and tool calls")
    return row


def parse_turn(
    turn: dict[str, Any], speaker: Any, role: str, value: Any, where: str
) -> tuple[Any, Message]:
    """A turn's text, and its further keys: its calls, or what says whose result it is.

    The text of ShareGPT's `function_call` is the call, as JSON of an object with name and
    arguments, or of a list of them; where it is neither, it stays a text. A turn with calls may
    have no text.

    Args:
        speaker: as the turn names it.
        role: what that means.
        value: the turn's text, as it stands there.
        where: the turn's place, for messages.

    Raises:
        BadRow: a call without a name, with arguments that are no object, or of a speaker other
            than the assistant.
    """
    if role == "tool":
        return value, {key: str(turn[key]) for key in ("tool_call_id", "name") if turn.get(key)}
    given = turn.get("tool_calls") or turn.get("function_call")
    calls = _from_json(given, f"{where}: tool_calls") if given else None
    if not calls and speaker == CALLER and _is_call(value):
        calls, value = json.loads(value), ""
    if not calls:
        return value, {}
    if role != "assistant":
        raise BadRow(f"{where}: tool_calls: expected in assistant turns only, found with {role!r}")
    listed = calls if isinstance(calls, list) else [calls]
    parsed = [_call(call, f"{where}: tool call {number}") for number, call in enumerate(listed, 1)]
    return "" if value is None else value, {"tool_calls": parsed}


def _is_call(text: Any) -> bool:
    """Whether a text is JSON of an object with a name, or of a list of them."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return False
    calls = found if isinstance(found, list) else [found]
    return bool(calls) and all(isinstance(call, dict) and "name" in call for call in calls)


def _call(call: Any, where: str) -> dict[str, Any]:
    """A call in the form that `ToolConversation` describes; also from its inner object alone."""
    if not isinstance(call, dict):
        raise BadRow(f"{where}: expected an object, found {json_type(call)}")
    function = call.get("function", call)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str) or not name:
        raise BadRow(f"{where}: expected a function with a name, found {function!r:.60}")
    given = function.get("arguments")
    arguments = _from_json(given, f"{where}: arguments") if given else {}
    if not isinstance(arguments, dict):
        raise BadRow(f"{where}: arguments: expected an object, found {json_type(arguments)}")
    known = {"id": str(call["id"])} if call.get("id") else {}
    return known | {"type": "function", "function": {"name": name, "arguments": arguments}}


def _tools(value: Any) -> list[dict[str, Any]] | None:
    tools = _from_json(value, "tools") if value else None
    if not tools:
        return None
    if not isinstance(tools, list):
        raise BadRow(f"tools: expected a list, found {json_type(tools)}")
    return [_tool(tool, f"tools: {number}") for number, tool in enumerate(tools, 1)]


def _tool(tool: Any, where: str) -> dict[str, Any]:
    tool = _from_json(tool, where)
    if not isinstance(tool, dict):
        raise BadRow(f"{where}: expected an object, found {json_type(tool)}")
    is_function = "name" in tool and "function" not in tool
    return {"type": "function", "function": tool} if is_function else tool


def _from_json(value: Any, where: str) -> Any:
    """A value, or what it is the JSON text of. Else objects lose their members without a value.

    Parquet gives every object of a column the members of all: those that are not its own are null.
    """
    if not isinstance(value, str):
        _check_depth(value, where)
        return _without_nulls(value)
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise BadRow(f"{where}: not JSON: {error}") from None
    _check_depth(found, where)
    return found


def _check_depth(value: Any, where: str, levels: int = MAX_LEVELS) -> None:
    """Refuses what is nested so deep that Python, or a template, could not write it."""
    if levels == 0:
        raise BadRow(f"{where}: expected at most {MAX_LEVELS} objects and lists in each other")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _check_depth(item, where, levels - 1)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
