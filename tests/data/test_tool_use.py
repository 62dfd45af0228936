"""Conversations with tools: as a column, in parts, between processes."""

import json
import pickle

import pytest

from dataselect.data.tool_use import (
    ToolConversation,
    conversation,
    from_columns,
    identity,
    to_column,
    with_turns,
)
from tests.tool_rows import BOTH, TOOLS, TURNS, WEATHER, call, calls, turn

PLAIN = [turn("user", "Hi"), turn("assistant", "Hello")]


def texts(row):
    """What the column `messages` holds."""
    return [{"role": turn["role"], "content": turn["content"]} for turn in row]


def test_the_column_by_hand():
    row = ToolConversation([turn("user", "é?"), calls(call("time"))])
    assert json.loads(to_column(row)) == {
        "tools": None,
        "turns": {
            "1": {
                "tool_calls": [{"type": "function", "function": {"name": "time", "arguments": {}}}]
            }
        },
    }
    assert to_column(PLAIN) is None


@pytest.mark.parametrize("row", [WEATHER, BOTH, WEATHER[:1], ToolConversation([turn("tool", "x")])])
def test_a_row_is_the_same_after_a_table(row):
    again = from_columns(texts(row), to_column(row))
    assert (again, again.tools) == (row, row.tools)


def test_a_row_without_tools_stays_what_it_is():
    assert conversation(PLAIN, None) is PLAIN
    assert conversation(PLAIN, []) is PLAIN
    assert conversation([turn("developer", "x"), *PLAIN], None).__class__ is list


@pytest.mark.parametrize(
    ("turns", "tools"),
    [(PLAIN, TOOLS), ([turn("tool", "x")], None), ([calls(call("time"))], None), (TURNS, TOOLS)],
)
def test_tools_calls_and_results_make_a_conversation_with_tools(turns, tools):
    row = conversation(turns, tools)
    assert isinstance(row, ToolConversation)
    assert (row, row.tools) == (turns, tools)


def test_a_part_has_the_tools_of_the_row():
    part = BOTH[2:4]
    assert (list(part), part.tools) == ([BOTH[2], BOTH[3]], TOOLS)
    assert BOTH[-1] == turn("assistant", "Cold; noon.")
    assert with_turns(BOTH, PLAIN).tools == TOOLS
    assert with_turns(PLAIN, TURNS) is TURNS


def test_a_row_travels_between_processes():
    row = pickle.loads(pickle.dumps(BOTH))
    assert (row, row.tools) == (BOTH, TOOLS)


def test_ids_and_the_order_of_keys_do_not_make_rows_different():
    first = calls({"id": "a", **call("time", zone="CET", exact=True)})
    second = calls({"id": "b", **call("time", exact=True, zone="CET")})
    other = calls(call("time", exact=False, zone="CET"))
    keys = [identity(ToolConversation([turn], TOOLS)) for turn in (first, second, other)]
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]
    assert identity(ToolConversation([first], None)) != keys[0]
