"""The training file: chosen rows in any order, some twice, from a pool that is read in blocks."""

import json

import numpy as np
import polars as pl
import pytest

from dataselect.aggregate import _training_file
from dataselect.data import tables


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Seven rows with a kept column, read three at a time."""
    monkeypatch.setattr(_training_file, "ROWS_PER_BLOCK", 3)
    turns = [[{"role": "user", "content": f"é{'x' * row}"}] for row in range(7)]
    frame = pl.DataFrame(
        [(row, f"id{row}", "s", turns[row]) for row in range(7)],
        schema=tables.schema("pool"),
        orient="row",
    ).with_columns(quality=pl.Series([0.5, float("nan"), 2.0, None, float("inf"), 5.5, 6.0]))
    tables.write("pool", frame, tmp_path / "pool.parquet")
    return tmp_path / "pool.parquet"


def test_lines_stand_in_the_order_of_training_and_not_of_the_pool(pool):
    path = pool.with_name("train.jsonl")
    order = np.asarray([0, 1, 2, 3, 1])
    _training_file.write_training_file(pool, np.asarray([6, 1, 4, 0]), order, path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["id6", "id1", "id4", "id0", "id1"]
    assert lines[0]["messages"] == [{"role": "user", "content": "éxxxxxx"}]
    assert [line["quality"] for line in lines] == [6.0, None, None, 0.5, None]
    assert {entry.name for entry in pool.parent.iterdir()} == {"pool.parquet", "train.jsonl"}


def test_a_line_that_has_no_json_leaves_no_file(pool, monkeypatch):
    def fail(*_, **__):
        raise ValueError("no JSON")

    monkeypatch.setattr(_training_file.json, "dumps", fail)
    with pytest.raises(ValueError, match="no JSON"):
        _training_file.write_training_file(
            pool, np.asarray([2]), np.asarray([0]), pool.with_name("train.jsonl")
        )
    assert [entry.name for entry in pool.parent.iterdir()] == ["pool.parquet"]
