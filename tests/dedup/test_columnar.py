"""Whole columns at a time, or row by row: the same tables, whatever the rows hold."""

import json
import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataselect.compute import no_progress
from dataselect.dedup import columns, parts, raw, read
from dataselect.dedup.settings import PoolRules
from dataselect.dedup.steps import write_pool
from dataselect.dedup.truncation import Truncation
from dataselect.errors import InputError
from tests.dedup import row, turns, write


@pytest.fixture(autouse=True)
def here(in_scratch):
    return in_scratch


#: Few texts, so that rows repeat: white space of all kinds, none, other forms of the same letters,
#: a text like the key of two turns, and one that is cut off.
TEXTS = ["x", " x\n", "\x1cx\x1d", "\u3000x\u2028\x85", "x\u200b", "", " \t", "\u00e9", "e\u0301"]
TEXTS += ["x\nassistant: y", "y", "y ", "\x00", "[1]", "🌱", "cut", "cut off", "-5", "null"]
ROLES = ["user"] * 8 + ["assistant"] * 8 + ["system", "developer"]
ODD_ROLES = ["human", "gpt", "tool", "function", "critic", "", "User"]
SOURCES = ["web", "science.a", "science.b", "hard_coded", "", "é"]
CALL = [{"function": {"name": "f", "arguments": "{}"}}]


def messages_of(draw, odd):
    """A conversation; where `odd`, perhaps with a fault or with tools."""

    def turn():
        made = {"role": draw.choice(ROLES), "content": draw.choice(TEXTS)}
        if odd and draw.random() < 0.2:
            made[draw.choice(["role", "content"])] = draw.choice([*ODD_ROLES, None])
        if odd and draw.random() < 0.1:
            made["tool_calls"] = CALL
        return None if odd and draw.random() < 0.03 else made

    return [turn() for _ in range(draw.choice([0, 1, 2, 2, 2, 2, 3, 4]))]


def record_of(draw, number, odd):
    """A row of a file, with columns that are not ours; the columns may be null, or not there."""
    is_odd = odd and draw.random() < 0.3
    record = {
        "id": draw.choice([f"r{number}"] * 6 + ["", None]),
        "source": draw.choice([*SOURCES, None]),
        "dataset": draw.choice([*SOURCES, None]),
        "messages": messages_of(draw, is_odd) if not is_odd or draw.random() < 0.9 else None,
        "score": draw.choice([1, 2, 3, None]),
        "note": draw.choice(["a", "", "ü", None]),
    }
    if is_odd:
        record |= {"tools": draw.choice([None, "", "[]", '[{"name": "f"}]', "no JSON"])}
        record |= draw.choice([{}, {}, {"prompt": "x", "response": draw.choice(TEXTS)}])
    return {name: value for name, value in record.items() if draw.random() < 0.98}


def write_parquet(draw, name, records):
    """A parquet file of records, with types that writers of such files choose."""
    text = draw.choice([pa.string(), pa.large_string()])
    call = pa.struct([("function", pa.struct([("name", text), ("arguments", text)]))])
    fields = [("content", text), ("role", text), ("name", text), ("tool_calls", pa.list_(call))]
    fields = draw.choice([fields, fields[1::-1], fields[:3]])
    many = draw.choice([pa.list_, pa.large_list])
    named = draw.choice([text, pa.dictionary(pa.int32(), pa.string())])
    types = {"id": text, "source": named, "dataset": named, "score": pa.int64(), "note": text}
    types |= {"messages": many(pa.struct(fields)), "tools": text, "prompt": text, "response": text}
    used = [column for column in types if any(column in record for record in records)]
    draw.shuffle(used)
    schema = pa.schema([(column, types[column]) for column in used])
    pq.write_table(pa.Table.from_pylist(records, schema), name, row_group_size=draw.choice([3, 99]))


#: Lines that are no rows, or that two parsers of JSON may read differently.
ODD_LINES = [
    b"{'id': 1}", b"[]", b"{} {}", b'{"id": "a"} {"id":', b'{"messages": []}}', b"\xef\xbb\xbf{}",
    b'{"id": "\xff", "messages": []}', b'{"id": "\\ud83c", "messages": []}', b'{"a": NaN}',
    b'{"a": Inf, "messages": [{"role": "user", "content": "x"}]}', b'{"a": -NaN}', b"\x00{}\x00",
    b'{"id": 7, "messages": [{"role": "assistant", "content": 5}]}', b"  ", b"", b"\x0c{}",
    b'{"id": 1.0, "messages": [{"role": "assistant", "content": "x"}]}', b'{"id": true}',
    b'{"id": "a", "id": "b", "messages": [{"role": "assistant", "content": "x"}]}',
    b'{"m": [], "messages": "[{\\"role\\": \\"assistant\\", \\"content\\": \\"z\\"}]"}',
    b'{"a": ' + b"9" * 5_000 + b', "messages": [{"role": "assistant", "content": "long"}]}',
    b'{"a": ' + b"[" * 5_000 + b"]" * 5_000 + b', "messages": []}', b'{"id": "b\\u0000"}',
    b'{"conversations": [{"from": "gpt", "value": "x"}], "messages": null}',
]  # fmt: skip


def write_lines(draw, name, records):
    """A file of JSON lines, perhaps with odd ones between them."""
    lines = [json.dumps(record, ensure_ascii=draw.random() < 0.5).encode() for record in records]
    for _ in range(draw.choice([0, 0, 1, 3])):
        lines.insert(draw.randrange(len(lines) + 1), draw.choice(ODD_LINES))
    Path(name).write_bytes(draw.choice([b"\n", b"\r\n"]).join(lines) + draw.choice([b"", b"\n"]))


def rules_of(draw):
    """Settings of the block `pool`."""
    given = {
        "on_bad_row": draw.choice(["drop", "drop", "drop", "error"]),
        "id": draw.choice(["keep", "content", "prefix"]),
        "sources": draw.choice([{}, {"science*": "science", "hard_coded": None}]),
        "where": draw.choice([None, None, "score > 1 or note = 'ü'", "len(note) > score + 10"]),
        "keep": draw.choice([[], ["note"], ["score", "note"]]),
        "columns": draw.choice([{}, {}, {}, {"source": "note"}, {"id": "score"}, {"tools": "no"}]),
    }
    return PoolRules(**given, most_dropped=1)


def row_by_row(*given):
    """`read_pool_parts` without columns."""
    for part in columns.read_pool_parts(*given):
        yield parts.RecordPart(part.rows())


def results(out, files, rules):
    """All that comes of a pool's files: counts, and the bytes of the tables; or the error."""
    cuts = Truncation(lambda rows: [talk[0]["content"].startswith("cut") for talk in rows])
    try:
        counts = write_pool(files, Path(out), rules=rules, truncation=cuts, progress=no_progress)
    except InputError as error:
        return str(error)
    return [counts, *(path.read_bytes() for path in sorted(Path(out).iterdir()))]


def check_both_ways(kind, seed, monkeypatch):
    """Makes files, and compares what comes of them by columns, and row by row."""
    draw = random.Random(f"{kind} {seed}")
    monkeypatch.setattr(raw, "ROWS_PER_BLOCK", draw.choice([7, 20, 8_192]))
    for module in (read, parts):
        monkeypatch.setattr(module, "ROWS_PER_BATCH", 5)
    files, number = [], iter(range(10_000))
    for name in ("a", "b"):
        odd, rows = draw.random() < 0.7, draw.choice([1, 40])
        files.append(f"{name}.{kind}")
        write_file = write_parquet if kind == "parquet" else write_lines
        write_file(draw, files[-1], [record_of(draw, next(number), odd) for _ in range(rows)])
    rules = rules_of(draw)
    found = results("columns", files, rules)
    monkeypatch.setattr(raw, "read_pool_parts", row_by_row)
    assert found == results("rows", files, rules)


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
@pytest.mark.parametrize("seed", range(6))
def test_both_ways_give_the_same(kind, seed, monkeypatch):
    check_both_ways(kind, seed, monkeypatch)


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
@pytest.mark.parametrize("seed", range(6, 206))
def test_both_ways_give_the_same_in_many_cases(kind, seed, monkeypatch):
    check_both_ways(kind, seed, monkeypatch)


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_plain_rows_are_not_read_one_by_one(kind, monkeypatch):
    rows = [row(f"{i % 9}?", "y", id=f"r{i % 9}", extra=i) for i in range(20)]
    write("a.jsonl", rows)
    pq.write_table(pa.Table.from_pylist(rows), "a.parquet")
    monkeypatch.setattr(raw, "parse_row", None)
    counts, *_ = results("out", [f"a.{kind}"], PoolRules(where="extra > 0", keep=["extra"]))
    assert (counts.kept, counts.dropped) == (9, {"duplicate": 10, "filtered by pool.where": 1})


def test_only_rows_that_are_not_plain_are_read_one_by_one(monkeypatch):
    plain = [row(f"{i}?", "y") for i in range(5)]
    odd = [{"messages": turns(("human", "x"), ("gpt", "y"))}, {"messages": turns(("tool", "x"))}]
    pq.write_table(pa.Table.from_pylist([*plain, *odd, *plain]), "a.parquet")
    parsed, parse_row = [], raw.parse_row
    monkeypatch.setattr(raw, "parse_row", lambda *a: parsed.append(a[0].raw.place) or parse_row(*a))
    results("out", ["a.parquet"], PoolRules())
    assert parsed == ["a.parquet:6", "a.parquet:7"]


def test_texts_that_are_not_utf8_are_bad_rows():
    """Parquet files may hold any bytes in a column of texts."""
    names = pa.array([b"good", b"bad\xff", b"good too"]).view(pa.string())
    talks = pa.array([row(f"{i}?", "y")["messages"] for i in range(3)])
    pq.write_table(pa.table({"id": names, "messages": talks}), "a.parquet")
    results("out", ["a.parquet"], PoolRules(on_bad_row="drop"))
    assert pl.read_parquet("out/pool.parquet")["id"].to_list() == ["good", "good too"]
    dropped = pl.read_parquet("out/dropped.parquet")
    assert dropped.select("id", "detail").rows() == [("a.parquet:2", "not UTF-8: b'bad\\xff'")]


def test_columns_of_views_are_read():
    """Types for which Arrow lacks functions, and a row of theirs that is named by itself."""
    talks = [row(f"{i}?", "y" * (i != 1))["messages"] for i in range(3)]
    columns = {"id": pa.array(["a", "b", "c"], pa.string_view()), "messages": pa.array(talks)}
    pq.write_table(pa.table(columns), "a.parquet")
    results("out", ["a.parquet"], PoolRules(on_bad_row="drop"))
    assert pl.read_parquet("out/pool.parquet")["id"].to_list() == ["a", "c"]
    assert pl.read_parquet("out/dropped.parquet")["reason"].to_list() == ["empty response"]
