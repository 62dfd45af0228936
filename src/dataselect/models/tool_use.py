"""Tools in chat formats: what a template loses of them, and tool use as plain text."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dataselect.data.tables import Message
from dataselect.data.tool_use import ToolConversation


def what_is_lost(
    row: ToolConversation, render: Callable[[ToolConversation], tuple[str, str]]
) -> str | None:
    """What a template loses of tools, calls or results, as in `tools left out`; None: nothing.

    The conversation is rendered with other names of tools and calls, other arguments and other
    results, which no other part of it holds, and which a template writes as they are. Templates
    may leave out the text beside a call, as Llama 3.1's does.

    Args:
        render: a conversation → its text, and of that the responses, where the template marks them.
    """
    tools, calls, results = _Probes("tool"), _Probes("call"), _Probes("result")
    probed_tools = [_probe_tool(tool, tools) for tool in row.tools or []]
    turns = [_probe_turn(turn, calls, results) for turn in row]
    text, marked = render(ToolConversation(turns, probed_tools or None))
    losses = {
        "tools left out": not tools.stand_in(text),
        "tool calls left out": not calls.stand_in(text),
        "tool results left out": not results.stand_in(text),
        "tool calls not marked as responses": not calls.stand_in(marked),
    }
    return next((loss for loss, is_lost in losses.items() if is_lost), None)


def as_text(row: ToolConversation) -> list[Message]:
    """Tool use as texts of turns, for a format that has no form for it: only to measure rows.

    The tools are a turn `tools` at the beginning, as JSON, a line each; a call is a line of JSON
    with name and arguments at the end of its turn.
    """
    tools = "\n".join(_json(tool.get("function", tool)) for tool in row.tools or ())
    turns = [{"role": turn["role"], "content": _content_and_calls(turn)} for turn in row]
    return [{"role": "tools", "content": tools}, *turns] if tools else turns


def _content_and_calls(turn: Message) -> str:
    calls = [_json(call["function"]) for call in turn.get("tool_calls", ())]
    return "\n".join([turn["content"], *calls] if turn["content"] else calls)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


class _Probes:
    """Names that no conversation holds, none of them the beginning of another."""

    def __init__(self, kind: str) -> None:
        self._prefix, self._names = f"probe_{kind}_", list[str]()

    def new(self) -> str:
        """Another name."""
        self._names.append(f"{self._prefix}{len(self._names)}_end")
        return self._names[-1]

    def stand_in(self, text: str) -> bool:
        """Whether a text holds all of them."""
        return all(name in text for name in self._names)


def _probe_tool(tool: dict[str, Any], names: _Probes) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, dict):  # a tool of the server's, such as a web search
        return tool
    return tool | {"function": function | {"name": names.new()}}


def _probe_turn(turn: Message, calls: _Probes, results: _Probes) -> Message:
    if turn["role"] == "tool" and turn["content"].strip():
        return turn | {"content": results.new()}
    if "tool_calls" not in turn:
        return turn
    return turn | {"tool_calls": [_probe_call(call, calls) for call in turn["tool_calls"]]}


def _probe_call(call: dict[str, Any], names: _Probes) -> dict[str, Any]:
    return call | {"function": {"name": names.new(), "arguments": {"value": names.new()}}}
