"""csv and tsv files: quotes, lines, headers, bytes; what is wrong with them, and where."""

import gzip
from pathlib import Path

import pytest
import zstandard

from dataselect.dedup.conversations import parse_messages
from dataselect.dedup.fields import BadRow
from dataselect.dedup.read import read_rows
from dataselect.errors import InputError
from tests.dedup import row

TEXT = 'id,prompt,response\n1,"1 + 1?\n\n2, 3","say ""two"""\n,x,\n'
TABS = 'id\tprompt\tresponse\n1\t"1 + 1?\n\n2, 3"\tsay "two"\n\tx\t\n'
RECORDS = [
    {"id": "1", "prompt": "1 + 1?\n\n2, 3", "response": 'say "two"'},
    {"id": None, "prompt": "x", "response": None},
]
KINDS = {
    "x.csv": TEXT.encode(),
    "x.tsv": TABS.encode(),
    "x.csv.gz": gzip.compress(TEXT.encode()),
    "x.tsv.gz": gzip.compress(TABS.encode()),
    "x.csv.zst": zstandard.compress(TEXT.encode()),
    "bom.csv": b"\xef\xbb\xbf" + TEXT.encode(),
    "no_last_newline.csv": TEXT.rstrip("\n").encode(),
    "quoted.csv": TEXT.replace("id,prompt", '"id"," prompt"').encode(),
    "blank_lines.csv": ("\n" + TEXT.replace(",x,\n", "\n\n,x,\n\n")).encode(),
    "pandas_index.csv": b'"",id,prompt,response\n0,1,"1 + 1?\n\n2, 3","say ""two"""\n1,,x,\n',
}


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def read(name, content):
    """The rows of a file with this content, in the working directory."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows([name]))


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_rows(name):
    assert [raw.record for raw in read(name, KINDS[name])] == RECORDS


def test_a_place_is_the_line_where_the_row_begins():
    assert [raw.place for raw in read("x.csv", KINDS["x.csv"])] == ["x.csv:2", "x.csv:5"]
    content = KINDS["blank_lines.csv"]
    assert [raw.place for raw in read("x.csv", content)] == ["x.csv:3", "x.csv:8"]


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems(end):
    rows = read("x.csv", f'prompt,response{end}"a{end}b",c{end}{end}d,e{end}')
    assert [raw.record["prompt"] for raw in rows] == [f"a{end}b", "d"]
    assert [raw.place for raw in rows] == ["x.csv:2", "x.csv:5"]


def test_a_long_conversation_is_a_cell():
    text = "word " * 100_000
    assert read("x.csv", f"prompt,response\n{text},y\n")[0].record["prompt"] == text


def test_messages_may_be_json_in_a_cell():
    (raw,) = read(
        "x.csv",
        'messages\n"[{""role"": ""user"", ""content"": ""x""}, '
        '{""role"": ""assistant"", ""content"": ""y""}]"\n',
    )
    assert parse_messages(raw.record) == row("x", "y")["messages"]


@pytest.mark.parametrize("content", ["", "\n\n", "prompt,response\n", "\ufeffprompt,response"])
def test_a_file_without_rows(content):
    assert read("x.csv", content) == []


BAD = {
    "few": ("a\n", "expected 2 fields, as in the header; found 1"),
    "many": ("a,b,c\n", "expected 2 fields, as in the header; found 3"),
    "quotes in quotes": (
        '"a "b" c",d\n',
        "not csv: ',' expected after '\"'. Inside a quoted field, quotes are written twice",
    ),
    "Latin-1": ("ü,b\n".encode("latin-1"), "not UTF-8"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_row_that_cannot_be_read_is_named_and_the_others_are_read(name):
    line, reason = BAD[name]
    line = line if isinstance(line, bytes) else line.encode()
    rows = read("x.csv", b"prompt,response\nx,y\n" + line + b"z,w\n")
    assert [raw.place for raw in rows] == ["x.csv:2", "x.csv:3", "x.csv:4"]
    assert isinstance(rows[1].record, BadRow)
    assert str(rows[1].record) == reason
    assert [rows[0].record["prompt"], rows[2].record["prompt"]] == ["x", "z"]


DAMAGED = {
    "a quote that never ends": (
        'prompt,response\nx,y\nz,"w\nx,y\n',
        "x.csv:3: a quoted field of this row never ends. Close its quotes.",
    ),
    "a header twice": (
        "id,prompt, prompt,id,,\n",
        "x.csv:1: expected a header with a name for each column, each once; found `id`, "
        "`prompt` more than once. Rename them.",
    ),
    "a header in Latin-1": (
        "prompt,größe\n".encode("latin-1"),
        "x.csv:1: not UTF-8. Save the file as UTF-8.",
    ),
    "a header in UTF-16": (
        "prompt,response\n".encode("utf-16"),
        "x.csv:1: not UTF-8. Save the file as UTF-8.",
    ),
    "quotes in a header": (
        '"a "b,c\n',
        "x.csv:1: not csv: ',' expected after '\"'. Inside a quoted field, quotes are "
        "written twice. Fix the header.",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_ends_the_reading(name):
    content, message = DAMAGED[name]
    with pytest.raises(InputError) as error:
        read("x.csv", content)
    assert str(error.value) == message
