"""Lines of JSON as columns: where both parsers agree, and what is left to Python's."""

import json

import pytest

from dataselect.dedup.json_columns import find_regular, read_columns

NAMES = {name: name for name in ("id", "source", "dataset", "messages", "tools")}
TALK = (
    '[{"role": "user", "content": "x"}, {"role": "assistant", "content": "\\u00e9\\ud83c\\udf31"}]'
)
ROW = f'{{"id": "a", "messages": {TALK}}}'.encode()


def read(*lines):
    return read_columns([line + b"\n" for line in lines], NAMES)


def test_columns_have_the_values_of_the_lines():
    columns = read(ROW, b'{"messages": null, "source": "web", "more": [1, {"a": NaN}]}', b"{}")
    assert columns is not None
    rows = [json.loads(ROW), {"source": "web"}, {}]
    for name in ("id", "source", "dataset", "tools"):
        assert columns[name].to_pylist() == [row.get(name) for row in rows]
    talk, *others = columns["messages"].to_pylist()
    turns = [{name: turn[name] for name in ("role", "content")} for turn in talk]
    assert (turns, others) == (rows[0]["messages"], [None, None])


def test_ids_may_be_whole_numbers():
    columns = read(b'{"id": -7, "messages": []}', b'{"id": null}', b'{"id": 9223372036854775807}')
    assert columns is not None
    assert columns["id"].to_pylist() == [-7, None, 2**63 - 1]


@pytest.mark.parametrize(
    "line",
    [
        b"no JSON",
        b'{"id": 5}',
        b'{"id": "a", "id": "b"}',
        b'{"id": "\\ud83c"}',
        b'{"source": ["web"]}',
        b'{"tools": []}',
        b'{"tools": ""}',
        b'{"messages": "[]"}',
        b'{"messages": [{"role": "user", "content": 5}]}',
        b'{"messages": [{"role": "user", "content": "x", "tool_calls": []}]}',
        b'{"messages": [{"role": "user", "content": "x", "function_call": {}}]}',
        b'{"messages": ["x"]}',
        b"{} {}",
        b'{"a": 1e400}',
    ],
)
def test_a_block_with_another_value_is_left_to_python(line):
    assert read(ROW, ROW) is not None
    assert read(ROW, line) is None


@pytest.mark.parametrize("first", [b"{}", b'{"prompt": "x"}', b'{"messages": "[]"}'])
def test_a_block_whose_first_row_has_no_list_of_messages_is_left_to_python(first):
    assert read(first) is None


@pytest.mark.parametrize(
    ("line", "regular"),
    [
        (ROW, True),
        (ROW + b"\r\n", True),
        (b" " + ROW, False),
        (ROW + b" ", False),
        (b"[]", False),
        (b"\xef\xbb\xbf" + ROW, False),
        ("{é}".encode(), True),
        (b"{\xff}", False),
        (b"{\xed\xa0\x80}", False),  # half a surrogate pair
        (b"{\0}", False),
        (b'{"a": "Information", "b": "of NaN, Inf"}', False),
        (b'{"a": "Information", "b": "NaN"}', True),
        (b'{"a": Inf}', False),
        (b'{"a": [1,-NaN]}', False),
        (b'{"a": ' + b"9" * 4_299 + b"}", True),
        (b'{"a": ' + b"9" * 4_300 + b"}", False),
        (b'{"a": ' + b"[" * 499 + b"]" * 499 + b"}", True),
        (b'{"a": ' + b'{"b":' * 501 + b"1" + b"}" * 501 + b"}", False),
    ],
)
def test_regular_lines_by_hand(line, regular):
    lines = [ROW + b"\n", line if line.endswith(b"\n") else line + b"\n", ROW]
    assert find_regular(lines).tolist() == [True, regular, True]


def test_python_and_arrow_differ_where_lines_are_not_regular():
    """Else the checks would be for nothing: Arrow takes what Python's json refuses."""
    for value in (b"Inf", b"-NaN", b"9" * 5_000):
        assert read(ROW, b'{"a": ' + value + b"}") is not None
        with pytest.raises(ValueError):
            json.loads(b'{"a": ' + value + b"}")
