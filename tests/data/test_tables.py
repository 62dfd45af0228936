"""Reading does not hold what it has read."""

import random

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataselect.data import tables
from dataselect.dedup import read

ROW_GROUPS, LETTERS = 40, 500_000


@pytest.fixture
def pool(tmp_path):
    """Rows of half a megabyte that nothing compresses, each in a row group of its own."""
    draw = random.Random(0)
    path = tmp_path / "pool.parquet"
    with tables.open_writer("pool", path) as put:
        for row in range(ROW_GROUPS):
            turns = [{"role": "user", "content": draw.randbytes(LETTERS // 2).hex()}]
            rows = [(row, f"id{row}", "source", turns)]
            put(pl.DataFrame(rows, schema=tables.schema("pool"), orient="row"))
    return path


@pytest.mark.parametrize(
    "reader",
    [lambda path: tables.iter_batches("pool", path, 1), lambda path: read.read_rows([str(path)])],
)
def test_a_file_that_streams_is_not_kept(pool, reader, monkeypatch):
    monkeypatch.setattr(read, "ROWS_PER_BATCH", 1)
    assert pq.read_metadata(pool).num_row_groups == ROW_GROUPS
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in reader(pool)]
    assert len(held) == ROW_GROUPS
    assert max(held) < 8 * LETTERS
