"""Reading rows: every kind of file, whole, damaged or empty, and the rows' places."""

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from dataselect.dedup.conversations import parse_messages
from dataselect.dedup.fields import BadRow
from dataselect.dedup.read import read_rows
from dataselect.errors import InputError

ROWS = [
    {
        "id": "a",
        "source": "sums",
        "messages": [
            {"role": "user", "content": "1 + 1?"},
            {"role": "assistant", "content": "2"},
        ],
    },
    {
        "id": "b",
        "source": "words",
        "messages": [
            {"role": "user", "content": "Grün auf Englisch? 🌱"},
            {"role": "assistant", "content": "green\nor so"},
        ],
    },
]


def lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parquet(rows, **options):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, **options)
    return file.getvalue()


KINDS = {
    "x.parquet": parquet(ROWS),
    "x.pq": parquet(ROWS, row_group_size=1),
    "x.jsonl": lines(ROWS),
    "x.ndjson": lines(ROWS),
    "lines.json": lines(ROWS),
    "array.json": json.dumps(ROWS, indent=2).encode(),
    "x.jsonl.gz": gzip.compress(lines(ROWS)),
    "array.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "x.jsonl.zst": zstandard.compress(lines(ROWS)),
    "frames.jsonl.zst": b"".join(zstandard.compress(lines([row])) for row in ROWS),
    "array.json.zst": zstandard.compress(json.dumps(ROWS).encode()),
    "members.jsonl.gz": b"".join(gzip.compress(lines([row])) for row in ROWS),
    "crlf.jsonl": lines(ROWS).replace(b"\n", b"\r\n"),
    "no_last_newline.jsonl": lines(ROWS).rstrip(b"\n"),
    "blank_lines.jsonl": b"\n \t\n" + lines(ROWS).replace(b"\n", b"\n\r\n\n"),
    "bom.jsonl": b"\xef\xbb\xbf" + lines(ROWS),
    "boms.jsonl": b"".join(b"\xef\xbb\xbf" + lines([row]) for row in ROWS),
    "bom_array.json": b"\xef\xbb\xbf" + json.dumps(ROWS, indent=1).encode(),
    "indented_array.json": b"\n\n  " + json.dumps(ROWS, indent=4).encode(),
    "escaped.jsonl": b"".join(json.dumps(row).encode() + b"\n" for row in ROWS),
}


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


def write(name, content):
    """A file in the working directory; rows become JSON lines."""
    Path(name).write_bytes(content if isinstance(content, bytes) else lines(content))
    return name


def records(*names):
    return [raw.record for raw in read_rows(list(names))]


def bad(name):
    """The file's rows that cannot be understood, with their places."""
    rows = read_rows([name])
    return [(row.place, str(row.record)) for row in rows if isinstance(row.record, BadRow)]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_rows(name):
    assert records(write(name, KINDS[name])) == ROWS


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("x.parquet", ["x.parquet:1", "x.parquet:2"]),
        ("x.jsonl.gz", ["x.jsonl.gz:1", "x.jsonl.gz:2"]),
        ("array.json", ["array.json:1", "array.json:2"]),
        ("blank_lines.jsonl", ["blank_lines.jsonl:3", "blank_lines.jsonl:6"]),
    ],
)
def test_a_place_is_the_file_and_its_line_or_row(name, places):
    assert [raw.place for raw in read_rows([write(name, KINDS[name])])] == places


BAD_LINES = {
    "cut off": (b'{"id": "b", "mess', "not JSON: Invalid control character at column 18"),
    "no JSON": (b"hello", "not JSON: Expecting value at column 1"),
    "a number": (b"5", "expected an object with messages, found a number"),
    "a list": (b"[1]", "expected an object with messages, found a list"),
    "null": (b"null", "expected an object with messages, found null"),
    "Latin-1": ('{"id": "ü"}'.encode("latin-1"), "not UTF-8: byte 9 of the line"),
    "deep": (b"[" * 100_000, "not JSON that can be read: maximum recursion depth exceeded"),
    "a number of 5,000 digits": (
        b'{"id": ' + b"1" * 5_000 + b"}",
        "not JSON that can be read: Exceeds the limit (4300 digits)",
    ),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_line_that_cannot_be_read_is_named_and_the_others_are_read(name):
    line, expected = BAD_LINES[name]
    write("x.jsonl", lines(ROWS[:1]) + line + b"\n" + lines(ROWS[1:]))
    ((place, reason),) = bad("x.jsonl")
    assert place == "x.jsonl:2"
    assert reason.startswith(expected)
    assert [r for r in records("x.jsonl") if isinstance(r, dict)] == ROWS


def test_an_array_may_hold_what_is_no_row():
    write("x.json", json.dumps([ROWS[0], "text", ROWS[1]]).encode())
    assert bad("x.json") == [("x.json:2", "expected an object with messages, found text")]


DAMAGED = {
    "x.txt": (b"a,b\n", "x.txt: unknown kind of file. Expected .parquet, .jsonl, .json, .csv or "),
    "x.json": (b'[{"id": 1},\n {"id": 2]\n', "x.json: line 2, column 10: not JSON: "),
    "latin.json": ('["ü"]'.encode("latin-1"), "latin.json: byte 2: not UTF-8."),
    "deep.json": (b"[" * 100_000, "deep.json: not JSON that can be read: maximum recursion "),
    "x.parquet": (parquet(ROWS)[:-9], "x.parquet: not a parquet file: Parquet magic bytes not "),
    "empty.parquet": (b"", "empty.parquet: not a parquet file: Parquet file size is 0 bytes"),
    "no.jsonl.gz": (lines(ROWS), "no.jsonl.gz: cannot be read: Not a gzipped file"),
    "no.jsonl.zst": (lines(ROWS), "no.jsonl.zst: cannot be read: ZSTD decompress failed"),
    "cut.jsonl.gz": (
        gzip.compress(lines(ROWS * 99))[:-9],
        "cut.jsonl.gz: cannot be read: Compressed file ended before the end-of-stream marker",
    ),
    "cut.jsonl.zst": (
        zstandard.compress(lines(ROWS * 99))[:-9],
        "cut.jsonl.zst: cannot be read: Truncated compressed stream",
    ),
    "flipped.jsonl.gz": (
        gzip.compress(lines(ROWS))[:-8] + bytes(8),
        "flipped.jsonl.gz: cannot be read: CRC check failed",
    ),
    "bits.jsonl.gz": (
        gzip.compress(lines(ROWS))[:10] + b"\xff" * 9,
        "bits.jsonl.gz: cannot be read: Error -3 while decompressing data: invalid block type",
    ),
    "bits.json.gz": (gzip.compress(lines(ROWS))[:10] + b"\xff" * 9, "bits.json.gz: cannot be read"),
    "name.parquet": (
        parquet(ROWS).replace(b"source", b"so\xffrce"),
        "name.parquet: damaged: a column's name is not UTF-8: b'so\\xffrce'. Replace the file.",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_ends_the_reading(name):
    content, message = DAMAGED[name]
    write(name, content)
    with pytest.raises(InputError) as error:
        records(name)
    assert str(error.value).startswith(message)


def test_a_file_that_is_gone_ends_the_reading():
    with pytest.raises(InputError, match=r"^gone\.jsonl: cannot be read: .*No such file"):
        records("gone.jsonl")


EMPTY = {
    "x.jsonl": b"",
    "blank.jsonl": b"\n\n",
    "x.json": b"[]",
    "x.jsonl.gz": gzip.compress(b""),
    "x.jsonl.zst": zstandard.compress(b""),
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_file_has_no_rows(name):
    assert records(write(name, EMPTY[name])) == []


def test_a_parquet_without_rows_is_read():
    pq.write_table(pa.table({"messages": pa.array([], pa.list_(pa.string()))}), "x.parquet")
    assert records("x.parquet") == []


def test_other_columns_of_a_parquet_are_named_but_not_read():
    picture = [b"\x89PNG", b"\x00"]
    times = pa.array([1, 2], pa.timestamp("ns"))
    text = ["x", "y"]
    table = pa.table({"picture": picture, "time": times, "prompt": text, "id": [7, 8]})
    pq.write_table(table, "x.parquet")
    assert records("x.parquet") == [
        {"picture": None, "time": None, "prompt": "x", "id": 7},
        {"picture": None, "time": None, "prompt": "y", "id": 8},
    ]


def test_a_parquet_without_a_known_column_has_rows_that_name_what_is_there():
    pq.write_table(pa.table({"text": ["x", "y"], "time": [1, 2]}), "x.parquet")
    rows = records("x.parquet")
    assert len(rows) == 2
    with pytest.raises(BadRow, match=r"found text, time$"):
        parse_messages(rows[0])


def test_bytes_of_a_parquet_that_are_not_utf_8_make_one_bad_row():
    raw = pa.array([b"good", b"\xffbad", None], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    pq.write_table(pa.table({"prompt": text, "completion": ["1", "2", "3"]}), "x.parquet")
    assert bad("x.parquet") == [("x.parquet:2", "not UTF-8: b'\\xffbad'")]
    assert [r["completion"] for r in records("x.parquet") if isinstance(r, dict)] == ["1", "3"]


def test_further_columns_of_a_parquet_are_read_on_request():
    table = pa.table({"prompt": ["x"], "quality": [4], "time": [7]})
    pq.write_table(table, "x.parquet")
    (raw,) = read_rows(["x.parquet"], extra=["quality", "absent"])
    assert raw.record == {"prompt": "x", "quality": 4, "time": None}


def test_columns_that_say_how_a_query_is_encoded_are_read_from_a_parquet():
    encoded = {"prompt": "x", "answers": ["1", "2"], "prefill": "=", "format": "raw"}
    pq.write_table(pa.Table.from_pylist([{**encoded, "max_tokens": 9}]), "x.parquet")
    assert records("x.parquet") == [{**encoded, "max_tokens": 9}]


def test_a_value_that_python_does_not_have_is_a_bad_row(in_scratch):
    times = pa.array([0, 2**62], pa.timestamp("us", "Mars/Base"))
    pq.write_table(pa.table({"id": ["a", "b"], "task": times}), "rows.parquet")
    records = [row.record for row in read_rows(["rows.parquet"])]
    assert all(isinstance(record, BadRow) for record in records)
    assert "a value that Python does not have" in str(records[0])
