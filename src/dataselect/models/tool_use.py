"""Tools in chat formats: what a template leaves out of them, and tool use as plain text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from dataselect.data.tables import Message
from dataselect.data.tool_use import ToolConversation


def left_out(row: ToolConversation, render: Callable[[ToolConversation], str]) -> str | None:
    """What a template leaves out: `tools`, `tool calls` or `tool results`; None: nothing.

    The conversation is rendered with other names of tools and calls, other arguments and other
    results, which no other part of it holds, and which a template writes as they are. Templates
    may leave out the text beside a call, as Llama 3.1's does.

    Args:
        render: a conversation → its text.
    """
    probes = {"tools": _Probes("tool"), "tool calls": _Probes("call")}
    probes["tool results"] = _Probes("result")
    tools = [_probe_tool(tool, probes["tools"]) for tool in row.tools or []]
    turns = [_probe_turn(turn, probes["tool calls"], probes["tool results"]) for turn in row]
    text = render(ToolConversation(turns, tools or None))
    missing = (part for part, names in probes.items() if any(name not in text for name in names))
    return next(missing, None)


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

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)


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
