"""Tools, calls and results, from the forms of OpenAI and ShareGPT; what is wrong with them."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataselect.data.tool_use import ToolConversation
from dataselect.dedup.conversations import BadRow, duplicate_key, parse_messages, reason_to_drop
from dataselect.dedup.read import read_rows
from tests.tool_rows import TOOLS, TURNS, ULM, WEATHER, call, calls, turn

ASKED, CALLED, RESULT, SAID = TURNS


def sharegpt(called, result="observation"):
    """The conversation with a call written in this way."""
    return [
        {"from": "human", "value": ASKED["content"]},
        {"from": "function_call", "value": called},
        {"from": result, "value": RESULT["content"]},
        {"from": "gpt", "value": SAID["content"]},
    ]


def openai(**turn):
    """The conversation with these keys in the turn of the call."""
    return [ASKED, {"role": "assistant", **turn}, RESULT, SAID]


INNER = CALLED["tool_calls"][0]["function"]
AS_TEXT = {"name": "weather", "arguments": json.dumps(ULM)}

#: Forms of `WEATHER`.
FORMS = {
    "OpenAI": {"messages": TURNS, "tools": TOOLS},
    "no content beside a call": {
        "messages": openai(content=None, tool_calls=CALLED["tool_calls"]),
        "tools": TOOLS,
    },
    "arguments as text": {
        "messages": openai(content="", tool_calls=[{"type": "function", "function": AS_TEXT}]),
        "tools": TOOLS,
    },
    "calls as objects alone": {"messages": openai(content="", tool_calls=[INNER]), "tools": TOOLS},
    "calls as text": {
        "messages": openai(content="", tool_calls=json.dumps(CALLED["tool_calls"])),
        "tools": TOOLS,
    },
    "OpenAI before tool_calls": {
        "messages": [*openai(content=None, function_call=AS_TEXT)[:2], *TURNS[2:]],
        "tools": TOOLS,
    },
    "the role function_call": {
        "messages": [ASKED, turn("function_call", json.dumps(INNER)), RESULT, SAID],
        "tools": TOOLS,
    },
    "Llama's role": {
        "messages": [ASKED, CALLED, turn("ipython", RESULT["content"]), SAID],
        "tools": TOOLS,
    },
    "ShareGPT": {"conversations": sharegpt(json.dumps(INNER)), "tools": TOOLS},
    "ShareGPT, a list of calls": {"conversations": sharegpt(json.dumps([INNER])), "tools": TOOLS},
    "ShareGPT, results from tool": {
        "conversations": sharegpt(json.dumps(AS_TEXT), "tool"),
        "tools": TOOLS,
    },
    "tools as text": {"messages": TURNS, "tools": json.dumps(TOOLS)},
    "tools as texts": {"messages": TURNS, "tools": [json.dumps(tool) for tool in TOOLS]},
    "tools as functions": {"messages": TURNS, "tools": [tool["function"] for tool in TOOLS]},
    "prompt and completion": {"prompt": TURNS[:1], "completion": TURNS[1:], "tools": TOOLS},
}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_conversation(in_scratch, form, kind):
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([FORMS[form]]), "x.parquet")
    else:
        (in_scratch / "x.jsonl").write_text(json.dumps(FORMS[form]))
    (raw,) = read_rows([f"x.{kind}"])
    row = parse_messages(raw.record)
    assert isinstance(row, ToolConversation)
    assert (row, row.tools) == (WEATHER, TOOLS)


def test_parquet_fills_no_arguments_in(in_scratch):
    """Arrow gives every call of a column the arguments of all, as nulls."""
    both = [calls(call("weather", **ULM), call("time", zone="CET"))]
    pq.write_table(pa.Table.from_pylist([{"messages": both}]), "x.parquet")
    (raw,) = read_rows(["x.parquet"])
    assert "zone" in raw.record["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert parse_messages(raw.record) == both


def test_a_null_that_json_text_writes_stays():
    turns = openai(content="", tool_calls=[{"name": "weather", "arguments": '{"city": null}'}])
    assert parse_messages({"messages": turns})[1] == calls(call("weather", city=None))


def test_ids_and_names_of_calls_and_results_stay():
    known = {"id": "7", **call("weather")}
    result = {**RESULT, "tool_call_id": "7", "name": "weather"}
    row = parse_messages({"messages": [ASKED, calls(known), {**result, "weight": 1}]})
    assert row == [ASKED, calls(known), result]


@pytest.mark.parametrize("text", ["Action: look", '{"city": "Ulm"}', "[]", "7", "[1]"])
def test_what_is_no_call_stays_text(text):
    row = parse_messages({"conversations": [{"from": "function_call", "value": text}]})
    assert row == [turn("assistant", text)]
    assert not isinstance(row, ToolConversation)


@pytest.mark.parametrize("tools", [None, "", [], "[]"])
def test_no_tools_make_no_conversation_with_tools(tools):
    turns = [{**ASKED, "tool_calls": None}, {**SAID, "tool_calls": []}]
    row = parse_messages({"messages": turns, "tools": tools})
    assert type(row) is list
    assert row == [ASKED, SAID]


def test_developers_are_no_tools():
    row = parse_messages({"messages": [turn("developer", "Be brief."), ASKED, SAID]})
    assert type(row) is list
    assert row[0]["role"] == "developer"


HALF = calls(call("weather", city="\ud83c"))
BAD = {
    "tools are a text": ({"tools": "weather"}, "tools: not JSON: Expecting value"),
    "tools are an object": ({"tools": {"a": 1}}, "tools: expected a list, found an object"),
    "a tool is a number": ({"tools": [TOOLS[0], 5]}, "tools: 2: expected an object, found a numb"),
    "a user calls": (
        {"messages": [{**CALLED, "role": "user"}]},
        "messages: turn 1: tool_calls: expected in assistant turns only, found with 'user'",
    ),
    "a call without a name": (
        {"messages": [ASKED, calls(call(""))]},
        "messages: turn 2: tool call 1: expected a function with a name, found",
    ),
    "a call that is a text": (
        {"messages": [ASKED, calls("weather")]},
        "messages: turn 2: tool call 1: expected an object, found text",
    ),
    "arguments in a list": (
        {"messages": [calls({"name": "weather", "arguments": ["Ulm"]})]},
        "messages: turn 1: tool call 1: arguments: expected an object, found a list",
    ),
    "arguments that are no JSON": (
        {"messages": [calls({"name": "weather", "arguments": "Ulm"})]},
        "messages: turn 1: tool call 1: arguments: not JSON: Expecting value",
    ),
    "half a surrogate pair": (
        {"messages": [HALF]},
        "tools and tool calls: not valid Unicode: half a surrogate pair",
    ),
    "a number that is none": (
        {"messages": [calls({"name": "weather", "arguments": '{"t": NaN}'})]},
        "tools and tool calls: expected values of JSON; Out of range float values",
    ),
    "objects without end": (
        {"tools": [json.loads('{"a":' * 90 + "1" + "}" * 90)]},
        "tools: expected at most 64 objects and lists in each other",
    ),
    "lists without end, as text": (
        {"messages": [calls({"name": "weather", "arguments": "[" * 9_999 + "]" * 9_999})]},
        "messages: turn 1: tool call 1: arguments: not JSON: maximum recursion depth exceeded",
    ),
    "bytes": (
        {"messages": [calls(call("weather", city=b"Ulm"))]},
        "tools and tool calls: expected values of JSON; Object of type bytes",
    ),
    "no content and no call": (
        {"messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": []}]},
        "messages: turn 2: expected text, found null",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_tools_that_cannot_be_understood_say_why(name):
    record, expected = BAD[name]
    with pytest.raises(BadRow) as error:
        parse_messages({"messages": [ASKED, SAID], **record})
    assert str(error.value).startswith(expected)


def test_calls_and_tools_are_a_part_of_the_key():
    key = duplicate_key(WEATHER)
    other = [ASKED, calls(call("weather", city="Bonn")), RESULT, SAID]
    assert duplicate_key(ToolConversation(other, TOOLS)) != key
    assert duplicate_key(ToolConversation(TURNS, TOOLS[:1])) != key
    assert duplicate_key(list(WEATHER)) != key
    known = {"id": "7", **call("weather", **ULM)}
    assert duplicate_key(ToolConversation([ASKED, calls(known), RESULT, SAID], TOOLS)) == key


def test_a_call_is_a_response():
    assert reason_to_drop(WEATHER[:2]) is None
    assert reason_to_drop(WEATHER[1:2]) is None
    assert reason_to_drop(WEATHER[:1]) == "no assistant turn"
