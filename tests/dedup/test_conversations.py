"""A record in any of its forms → messages; keys of duplicates; reasons to drop, by hand."""

import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataselect.dedup.conversations import duplicate_key, parse_messages, reason_to_drop
from dataselect.dedup.fields import BadRow
from dataselect.dedup.read import read_rows
from tests.dedup import turns


def turn(role, content):
    return {"role": role, "content": content}


PROMPT, ANSWER = turn("user", "Which?\n\n3, 5"), turn("assistant", "5")
SYSTEM = turn("system", "Be short.")
TALK = [turn("user", "Hi"), turn("assistant", "Hello"), turn("user", "Bye"), turn("assistant", "")]
SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}


def sharegpt(messages):
    return [{"from": SPEAKERS[turn["role"]], "value": turn["content"]} for turn in messages]


FORMS = {
    "messages": ({"messages": [PROMPT, ANSWER]}, [PROMPT, ANSWER]),
    "messages with a system turn": ({"messages": [SYSTEM, *TALK]}, [SYSTEM, *TALK]),
    "messages with more in a turn": (
        {"messages": [{**PROMPT, "weight": 1}, {**ANSWER, "name": "x"}]},
        [PROMPT, ANSWER],
    ),
    "alpaca with an input": (
        {"instruction": "Which?", "input": "3, 5", "output": "5"},
        [PROMPT, ANSWER],
    ),
    "alpaca with an empty input": (
        {"instruction": "Which?\n\n3, 5", "input": "", "output": "5"},
        [PROMPT, ANSWER],
    ),
    "alpaca with a null input": (
        {"instruction": "Which?\n\n3, 5", "input": None, "output": "5"},
        [PROMPT, ANSWER],
    ),
    "alpaca without an input": (
        {"instruction": "Which?\n\n3, 5", "output": "5"},
        [PROMPT, ANSWER],
    ),
    "alpaca with a system column": (
        {"system_prompt": "Be short.", "instruction": "Which?\n\n3, 5", "output": "5"},
        [SYSTEM, PROMPT, ANSWER],
    ),
    "an empty completion beside a response": (
        {"prompt": "Which?\n\n3, 5", "completion": "", "response": "5"},
        [PROMPT, ANSWER],
    ),
    "prompt and completion, texts": (
        {"prompt": "Which?\n\n3, 5", "completion": "5"},
        [PROMPT, ANSWER],
    ),
    "prompt and completion, messages": (
        {"prompt": [SYSTEM, PROMPT], "completion": [ANSWER]},
        [SYSTEM, PROMPT, ANSWER],
    ),
    "prompt as messages, completion as text": (
        {"prompt": [PROMPT], "completion": "5"},
        [PROMPT, ANSWER],
    ),
    "prompt as text, completion as messages": (
        {"prompt": "Which?\n\n3, 5", "completion": [ANSWER]},
        [PROMPT, ANSWER],
    ),
    "prompt and response, texts": ({"prompt": "Which?\n\n3, 5", "response": "5"}, [PROMPT, ANSWER]),
    "prompt and response, messages": (
        {"prompt": [PROMPT], "response": [ANSWER]},
        [PROMPT, ANSWER],
    ),
    "a completion before a response": (
        {"prompt": "Which?\n\n3, 5", "response": "no", "completion": "5"},
        [PROMPT, ANSWER],
    ),
    "a response where the completion is null": (
        {"prompt": "Which?\n\n3, 5", "response": "5", "completion": None},
        [PROMPT, ANSWER],
    ),
    "numbers as prompt and response": (
        {"system": 1, "prompt": 42, "response": 0.5},
        [turn("system", "1"), turn("user", "42"), turn("assistant", "0.5")],
    ),
    "numbers in alpaca": (
        {"instruction": 1, "input": 0, "output": -3},
        [turn("user", "1\n\n0"), turn("assistant", "-3")],
    ),
    "an instruction whose output is null": (
        {"instruction": "Which?", "input": "3, 5", "output": None},
        [PROMPT],
    ),
    "a prompt before an instruction whose output is null": (
        {"instruction": "x", "output": None, "prompt": "Which?\n\n3, 5", "completion": "5"},
        [PROMPT, ANSWER],
    ),
    "numbers as contents": (
        {"messages": [turn("user", 7), turn("assistant", 8)]},
        [turn("user", "7"), turn("assistant", "8")],
    ),
    "messages as JSON text": ({"messages": json.dumps([PROMPT, ANSWER])}, [PROMPT, ANSWER]),
    "no messages as JSON text": ({"messages": " []"}, []),
    "empty messages as text": ({"messages": "", "prompt": "Which?\n\n3, 5"}, [PROMPT]),
    "ShareGPT as JSON text": (
        {"system": "Be short.", "conversations": json.dumps(sharegpt(TALK))},
        [SYSTEM, *TALK],
    ),
    "NaN for what is missing": (
        {
            "messages": math.nan,
            "conversations": math.nan,
            "system": math.nan,
            "instruction": "Which?\n\n3, 5",
            "input": math.nan,
            "output": "5",
        },
        [PROMPT, ANSWER],
    ),
    "prompt alone": ({"prompt": "Which?\n\n3, 5"}, [PROMPT]),
    "ShareGPT": ({"conversations": sharegpt([PROMPT, ANSWER])}, [PROMPT, ANSWER]),
    "ShareGPT, multi-turn": ({"conversations": sharegpt(TALK)}, TALK),
    "ShareGPT with a system turn": (
        {"conversations": sharegpt([SYSTEM, *TALK])},
        [SYSTEM, *TALK],
    ),
    "ShareGPT with a system column": (
        {"system": "Be short.", "conversations": sharegpt(TALK)},
        [SYSTEM, *TALK],
    ),
    "ShareGPT with an empty system column": (
        {"system": "", "conversations": sharegpt(TALK)},
        TALK,
    ),
    "ShareGPT with roles": ({"conversations": TALK}, TALK),
    "messages before all else": (
        {"messages": [PROMPT, ANSWER], "prompt": "x", "instruction": "y", "output": "z"},
        [PROMPT, ANSWER],
    ),
    "null messages": ({"messages": None, "prompt": "Which?\n\n3, 5"}, [PROMPT]),
    "no turns": ({"messages": []}, []),
}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_messages(in_scratch, form, kind):
    row, expected = FORMS[form]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), "x.parquet")
    else:
        (in_scratch / "x.jsonl").write_text(json.dumps(row, ensure_ascii=False))
    (raw,) = read_rows([f"x.{kind}"])
    assert parse_messages(raw.record) == expected


BAD = {
    "nothing": (
        {"question": "Which?", "answer": "5"},
        "no messages: expected a column `messages`, `conversations`, `instruction` and `output`, "
        "or `prompt` and `completion` or `response`; found question, answer",
    ),
    "no columns": (
        {},
        "no messages: expected a column `messages`, `conversations`, `instruction` and `output`, "
        "or `prompt` and `completion` or `response`; found nothing",
    ),
    "unknown role": (
        {"messages": [PROMPT, turn("critic", "5")]},
        "messages: turn 2: unknown role 'critic'; expected one of system, developer, user, "
        "assistant, tool",
    ),
    "no role": (
        {"messages": [{"content": "x"}]},
        "messages: turn 1: unknown role None; expected one of system, developer, user, "
        "assistant, tool",
    ),
    "role in a list": (
        {"messages": [turn(["user"], "x")]},
        "messages: turn 1: unknown role ['user']; expected one of system, developer, user, "
        "assistant, tool",
    ),
    "ShareGPT speaker": (
        {"conversations": [{"from": "critic", "value": "x"}]},
        "conversations: turn 1: unknown role 'critic'; "
        "expected one of system, developer, user, "
        "assistant, tool",
    ),
    "null content": (
        {"messages": [PROMPT, turn("assistant", None)]},
        "messages: turn 2: expected text, found null",
    ),
    "content in parts": (
        {"messages": [turn("user", [{"type": "text", "text": "x"}])]},
        "messages: turn 1: expected text, found a list",
    ),
    "true as content": (
        {"messages": [turn("user", True)]},
        "messages: turn 1: expected text, found true or false",
    ),
    "NaN as content": (
        {"messages": [turn("user", math.nan)]},
        "messages: turn 1: expected text, found nan",
    ),
    "messages as text that is not JSON": (
        {"messages": "[{'role': 'user'}]"},
        "messages: expected a list of turns, found text that is not JSON: Expecting property name "
        "enclosed in double quotes at character 3",
    ),
    "messages as JSON text of a text": (
        {"messages": '"Hi"'},
        "messages: expected a list of turns, found text",
    ),
    "messages as JSON text without a role": (
        {"messages": '[{"content": "Hi"}]'},
        "messages: turn 1: unknown role None; expected one of system, developer, user, assistant, "
        "tool",
    ),
    "conversations as text of too many brackets": (
        {"conversations": "[" * 100_000},
        "conversations: expected a list of turns, found text that is not JSON: maximum recursion "
        "depth exceeded while decoding a JSON array from a unicode string",
    ),
    "turn as text": (
        {"messages": ["Hi"]},
        "messages: turn 1: expected an object, found 'Hi'",
    ),
    "list as output": (
        {"instruction": "x", "output": ["y"]},
        "output: expected text, found a list",
    ),
    "true as response": (
        {"prompt": "Is it?", "response": True},
        "response: expected text, found true or false",
    ),
    "object as prompt": ({"prompt": {"a": 1}}, "prompt: expected text, found an object"),
    "infinity as prompt": ({"prompt": math.inf}, "prompt: expected text, found inf"),
    "list as system": (
        {"system": ["x"], "prompt": "x"},
        "system: expected text, found a list",
    ),
    "a response without a prompt": (
        {"prompt": None, "response": "5", "note": None},
        "no messages: expected a column `messages`, `conversations`, `instruction` and `output`, "
        "or `prompt` and `completion` or `response`; found prompt (empty), response, note",
    ),
    "half a surrogate pair": (
        {"messages": [turn("user", "x\ud83c")]},
        "messages: turn 1: not valid Unicode: half a surrogate pair, '\\ud83c'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_cannot_be_understood_says_why(name):
    row, expected = BAD[name]
    with pytest.raises(BadRow) as error:
        parse_messages(row)
    assert str(error.value) == expected


QUESTION = ("user", "x")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ([QUESTION, ("assistant", "y")], [("user", " x\n"), ("assistant", "\ty")], True),
        ([QUESTION, ("assistant", "y")], [QUESTION, ("assistant", "Y")], False),
        ([QUESTION, ("assistant", "y")], [QUESTION, ("user", "y")], False),
        ([QUESTION, ("assistant", "y z")], [QUESTION, ("assistant", "y  z")], False),
        ([QUESTION, ("assistant", "y")], [("system", ""), QUESTION, ("assistant", "y")], False),
        (
            [("user", "x\nassistant: y")],
            [QUESTION, ("assistant", "y")],
            True,
        ),  # as the reference does
    ],
)
def test_the_key_is_every_role_and_stripped_content(first, second, same):
    assert (duplicate_key(turns(*first)) == duplicate_key(turns(*second))) is same


def test_the_key_is_the_md5_of_the_lines():
    # printf 'user: 1 + 2?\nassistant: 3' | md5sum
    expected = "95a0cff51fa2969a937de47b3253850e"
    assert duplicate_key(turns(("user", "1 + 2? "), ("assistant", "3"))) == expected


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([], "empty"),
        ([("user", ""), ("assistant", " ")], "empty"),
        ([("system", "Be short."), QUESTION], "no assistant turn"),
        ([QUESTION, ("assistant", "\n")], "empty response"),
        ([QUESTION, ("assistant", ""), QUESTION, ("assistant", "y")], None),
        ([("assistant", "y")], None),
        ([QUESTION, ("assistant", "y"), QUESTION], None),
    ],
)
def test_conversations_without_a_response_have_a_reason_to_be_dropped(pairs, reason):
    assert reason_to_drop(turns(*pairs)) == reason
