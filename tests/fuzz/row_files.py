"""Files of rows: mostly such as stages read, with things wrong in some places."""

import csv
import datetime
import decimal
import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from hypothesis import strategies as st

from tests.fuzz.values import changed, damaged, deep, texts, values

short = st.sampled_from(["two", "What is 1+1?", "a b c d e f g h i j", "No", "x" * 50]) | texts
roles = st.sampled_from(["user", "assistant", "system", "tool", "developer", "human", "gpt"])
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}

pairs = st.tuples(short, short).map(
    lambda pair: [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
)
turns = pairs | st.lists(st.fixed_dictionaries({"role": roles, "content": short}), max_size=4)
called = pairs.map(lambda pair: [pair[0], pair[1] | {"tool_calls": [CALL]}, *pair])
forms = st.one_of(
    st.fixed_dictionaries({"messages": turns}),
    st.fixed_dictionaries({"messages": turns.map(json.dumps)}),
    st.fixed_dictionaries({"messages": called, "tools": st.just([TOOL])}),
    st.fixed_dictionaries(
        {"conversations": st.lists(st.fixed_dictionaries({"from": roles, "value": short}))}
    ),
    st.fixed_dictionaries({"instruction": short, "input": short, "output": short}),
    st.fixed_dictionaries({"prompt": short, "completion": short, "system": short}),
    st.fixed_dictionaries({"prompt": short, "response": short}),
)
names = st.sampled_from(["a", "b", "sums", "1", 2.0]) | texts
pool_columns = {"id": names, "source": names, "dataset": names, "extra": values, "rating": values}
test_columns = {"id": names, "task": names, "subtask": names, "answer": values, "answers": values}
test_columns |= {"choices": values, "kind": st.sampled_from(["exact_match", "bbh", "no"]) | texts}
test_columns |= {"prefill": texts, "format": st.sampled_from(["chat", "raw"]) | texts}
test_columns |= {"max_tokens": values, "check": texts, "cluster": values}

#: Columns of types that only Parquet has.
ODD_COLUMNS = [
    lambda n: pa.array([datetime.date(2020, 1, 1)] * n),
    lambda n: pa.array([datetime.datetime(2020, 1, 1)] * n, pa.timestamp("ns", "Mars/Base")),
    lambda n: pa.array([datetime.timedelta(days=10**6)] * n, pa.duration("us")),
    lambda n: pa.array([2**62] * n, pa.timestamp("s")),
    lambda n: pa.array([decimal.Decimal("1.50")] * n),
    lambda n: pa.array([b"\xff\x00"] * n),
    lambda n: pa.array([[("k", 1), ("k", 2)]] * n, pa.map_(pa.string(), pa.int64())),
    lambda n: pa.array([None] * n),
    lambda n: pa.array(["a"] * n).dictionary_encode(),
    lambda n: pa.array([[1, 2]] * n, pa.list_(pa.int8(), 2)),
    lambda n: pa.array([{"role": "user", "content": 1}] * n),
    lambda n: pa.array([[{"role": "user", "text": "a"}]] * n),
    lambda n: pa.StringArray.from_buffers(
        n, pa.py_buffer(b"\0" * 4 * (n + 1)), pa.py_buffer(b"\xff")
    ),
]


@st.composite
def records(draw, columns, most=6):
    """Rows as dictionaries."""
    rows = []
    for number in range(draw(st.integers(1, most))):
        row = draw(forms) | {"id": f"r{number}", "extra": number, "rating": 5}
        extra = draw(st.lists(st.sampled_from(list(columns)), max_size=2, unique=True))
        row |= {name: draw(columns[name]) for name in extra}
        rows.append(row)
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        place = draw(st.integers(0, len(rows) - 1))
        rows[place] = draw(changed(rows[place], values | deep))
    return rows


def line(record, repeat):
    """A row as a line of JSON; `repeat` writes its first key twice."""
    text = json.dumps(record)
    if repeat and isinstance(record, dict) and record:
        text = f'{{{json.dumps(next(iter(record)))}: "first", {text[1:]}'
    return text


def as_jsonl(rows, draw):
    ends = draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n"]))
    return ends.join(line(row, draw(st.integers(0, 9)) == 0) for row in rows).encode()


def as_json(rows, draw):
    return json.dumps(rows, indent=draw(st.sampled_from([None, 1]))).encode("utf-8")


def as_csv(rows, draw, delimiter=","):
    header = list(dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=draw(st.sampled_from("\n\r")))
    writer.writerow(header or ["prompt", "completion"])
    for row in rows:
        row = row if isinstance(row, dict) else {}
        writer.writerow([cell(row.get(key)) for key in header])
    return text.getvalue().encode("utf-8", "surrogatepass")


def cell(value):
    return json.dumps(value) if isinstance(value, list | dict) else value


def as_parquet(rows, draw):
    rows = [row if isinstance(row, dict) else {} for row in rows]
    header = dict.fromkeys(key for row in rows for key in row if unicode(key))
    columns = {name: column([row.get(name) for row in rows]) for name in header}
    if draw(st.integers(0, 3)) == 0:
        odd = draw(st.sampled_from(ODD_COLUMNS))(len(rows))
        columns[draw(st.sampled_from([*header, "messages", "id", "tools", "extra"]))] = odd
    table = pa.table(columns)
    if draw(st.integers(0, 19)) == 0 and columns:  # a name twice
        table = table.append_column(table.column_names[0], table.column(0))
    size = draw(st.sampled_from([1, 100]))
    try:
        return parquet(table, size)
    except pa.ArrowException:  # a type that Parquet has not
        return parquet(pa.table({name: column([]) for name in header}), size)


def parquet(table, size):
    target = io.BytesIO()
    pq.write_table(table, target, row_group_size=size)
    return target.getvalue()


def column(cells):
    """A column of cells: of their own type, or as texts where they are of several."""
    try:
        found = pa.array(cells)
        parquet(pa.table({"cells": found}), 100)
        return found
    except (pa.ArrowException, ValueError, OverflowError, TypeError):
        return pa.array([None if c is None else ascii_json(c) for c in cells])


def ascii_json(value):
    return json.dumps(value) if not isinstance(value, str) or not unicode(value) else value


def unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


FORMS = {"jsonl": as_jsonl, "json": as_json, "csv": as_csv, "parquet": as_parquet}
FORMS |= {"tsv": lambda rows, draw: as_csv(rows, draw, "\t"), "ndjson": as_jsonl}


@st.composite
def row_files(draw, columns):
    """A file's ending and its bytes."""
    ending = draw(st.sampled_from(["jsonl", "jsonl", "json", "csv", "parquet", "tsv", "ndjson"]))
    data = FORMS[ending](draw(records(columns)), draw)
    is_damaged = draw(st.integers(0, 9)) == 0
    if is_damaged and draw(st.booleans()):
        data, is_damaged = draw(damaged(data)), False
    packed = draw(st.sampled_from(["", "", "", "", ".gz", ".zst"])) if ending != "parquet" else ""
    if packed:
        pack = gzip.compress if packed == ".gz" else zstandard.ZstdCompressor().compress
        data = pack(data)
    return f"{ending}{packed}", draw(damaged(data)) if is_damaged else data


def mostly(usual, *others):
    """The usual value, and now and then another."""
    return st.sampled_from([*[usual] * 2 * len(others), *others])


settings_of_rows = st.fixed_dictionaries(
    {
        "on_bad_row": mostly("drop", "error"),
        "id": mostly("keep", "content", "prefix"),
        "cut_off": st.sampled_from(["drop", "keep"]),
        "most_dropped": st.just(1.0),
        "keep": mostly([], ["extra"], ["extra", "rating"]),
        "where": mostly(None, "rating > 1", "extra = 'a'", "rating IS NULL", "extra->>'a' = '1'"),
        "sources": mostly({}, {"*": "all"}, {"pool": None, "*": "x"}, {"a": "b"}),
        "columns": mostly({}, {"prompt": "instruction"}, {"source": "extra"}),
        "languages": st.booleans(),
    }
)
#: A pool, queries and tests, and how they are read.
projects = st.fixed_dictionaries(
    {
        "pool": row_files(pool_columns),
        "queries": st.none() | st.none() | row_files(test_columns),
        "tests": st.none() | st.none() | row_files(test_columns),
        "rules": settings_of_rows,
        "near": st.sampled_from([None, None, {"similarity": 0.8, "action": "drop"}]),
        "decontaminate": st.sampled_from([None, {"action": "drop"}, {"ngram": 2, "share": 0.1}]),
        "method": st.sampled_from(["random", "random", "random_balanced", "longest"]),
        "max_tokens": st.sampled_from([2048, 8]),
    }
)
