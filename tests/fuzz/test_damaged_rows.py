"""Files of rows with a few wrong bytes, of every kind and compression: read, or refused."""

import gzip
import io
import json
import random
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from dataselect.compute import no_progress
from dataselect.dedup.raw import write_raw
from dataselect.dedup.settings import PoolRules
from tests.dedup import NONE_CUT_OFF, row
from tests.fuzz.case import attempt

ROWS = [row(f"q{i} {i * 7919}", "x" * i, id=f"r{i}", source="web") for i in range(30)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
TABLE = [{"id": f"r{i}", "prompt": 'a "quoted"\nline', "response": "x"} for i in range(10)]
PARQUET = [{}, {"compression": "zstd"}, {"compression": "none", "use_dictionary": False}]
PARQUET += [{"compression": "gzip", "data_page_version": "2.0"}]
RULES = PoolRules(on_bad_row="drop", most_dropped=1)


def parquet(options):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), file, **options)
    return file.getvalue()


FILES = {
    "p.jsonl": LINES,
    "p.jsonl.gz": gzip.compress(LINES, mtime=0),
    "p.jsonl.zst": zstandard.compress(LINES),
    "p.json": json.dumps(ROWS).encode(),
    "p.json.gz": gzip.compress(json.dumps(ROWS).encode(), mtime=0),
    "p.csv": pl.DataFrame(TABLE).write_csv().encode(),
    "p.tsv.gz": gzip.compress(pl.DataFrame(TABLE).write_csv(separator="\t").encode(), mtime=0),
    **{f"p{number}.parquet": parquet(options) for number, options in enumerate(PARQUET)},
}


def damage(data, draw):
    """Some bytes with a bit changed, another byte, or a few removed."""
    found = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5])):
        place = draw.randrange(len(found))
        match draw.choice(["bit", "bit", "byte", "remove"]):
            case "bit":
                found[place] ^= 1 << draw.randrange(8)
            case "byte":
                found[place] = draw.choice(b'\x00"\xff,\n\r')
            case _:
                del found[place : place + draw.randrange(1, 5)]
    return bytes(found)


def check(name, draw, times):
    """Reads a file damaged in several ways; how often it was read, and refused."""
    ends = Counter()
    for _ in range(times):
        Path(name).write_bytes(damage(FILES[name], draw))
        refused = attempt(
            lambda: write_raw([name], Path("raw.parquet"), RULES, NONE_CUT_OFF, no_progress)
        )
        ends["read" if refused is None else "refused"] += 1
    return ends


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused_with_a_message(name, in_scratch):
    ends = check(name, random.Random(name), 12)
    assert ends["refused" if name.endswith("gz") else "read"]


@pytest.mark.torture
@pytest.mark.parametrize("name", FILES)
def test_files_damaged_in_many_ways_are_read_or_refused(name, in_scratch):
    assert check(name, random.Random(f"many {name}"), 1_500).total() == 1_500
