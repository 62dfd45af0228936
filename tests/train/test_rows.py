"""Rows as tokens: which of them, and in what order."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dataselect.data import tables
from dataselect.models.chat import load_chat
from dataselect.train import rows as train_rows
from tests.helpers import GOLDEN, MODEL, mistake


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """The golden pool, as the dedup stage writes it."""
    frame = pl.read_parquet(GOLDEN / "pool.parquet").with_row_index("row")
    path = tmp_path_factory.mktemp("pool") / "pool.parquet"
    tables.write("pool", frame.cast({"row": pl.Int64}), path)
    return path


@pytest.fixture(scope="module")
def chat():
    return load_chat(replace(MODEL, max_tokens=256))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(train_rows, "ROWS_PER_BLOCK", 7)


def one_by_one(chat, pool, numbers):
    """The rows with these numbers, encoded one by one, where they have a response."""
    messages = pl.read_parquet(pool)["messages"].to_list()
    encoded = [chat.encode([messages[number]])[0] for number in numbers]
    return [row for row in encoded if row.has_response]


def equal(encoded, expected):
    assert len(encoded) == len(expected)
    for row, other in zip(encoded, expected, strict=True):
        np.testing.assert_array_equal(row.ids, other.ids)
        np.testing.assert_array_equal(row.response, other.response)


def test_rows_of_the_pool_come_in_the_order_of_their_numbers_given(
    chat, pool, small_blocks, tmp_path
):
    numbers = np.asarray([29, 3, 11, 0, 20, 4])
    expected = one_by_one(chat, pool, numbers)
    assert expected
    equal(train_rows.encode_rows(pool, chat, numbers, tmp_path / "tokens"), expected)


def test_rows_of_a_file_come_in_its_order_and_those_without_a_response_are_counted(
    chat, pool, small_blocks, tmp_path
):
    rows = pl.read_parquet(pool).head(30).to_dicts()
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps({"messages": row["messages"]}) + "\n" for row in rows))
    encoded = train_rows.encode_file(path, chat, tmp_path / "tokens")
    equal(encoded, one_by_one(chat, pool, range(30)))
    assert encoded.dropped == 30 - len(encoded)
    assert encoded.dropped > 0


def test_a_fit_on_no_row_is_a_mistake(pool, tmp_path):
    short = load_chat(replace(MODEL, max_tokens=2))
    nothing = np.asarray([], dtype=np.int64)
    tokens = tmp_path / "tokens"
    message = mistake(train_rows.encode_rows, pool, short, nothing, tokens)
    assert "there is no row to fit" in message
    message = mistake(train_rows.encode_rows, pool, short, np.arange(3), tokens)
    assert "none of the 3 rows that the reference is to be fitted on has a response" in message
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "Hello."}]}) + "\n")
    message = mistake(train_rows.encode_file, path, short, tokens)
    assert "none of the 1 rows has a response token" in message
    assert not tokens.exists()


def test_a_sample_depends_on_the_ids_and_the_seed_and_not_on_the_pools_order(pool, tmp_path):
    frame = pl.read_parquet(pool)
    frame.reverse().write_parquet(tmp_path / "reversed.parquet")
    ids = frame["id"].to_numpy()
    sample = train_rows.sample_rows(pool, 0, 10, "x")
    assert len(sample) == len(set(sample.tolist())) == 10
    reversed_sample = train_rows.sample_rows(tmp_path / "reversed.parquet", 0, 10, "x")
    assert ids[sample].tolist() == ids[::-1][reversed_sample].tolist()
    assert train_rows.sample_rows(pool, 1, 10, "x").tolist() != sample.tolist()
    assert len(train_rows.sample_rows(pool, 0, 10**6, "x")) == frame.height
