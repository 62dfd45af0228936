"""Tokens of the pool's rows: those that training sees."""

from dataclasses import replace

import polars as pl

from dataselect.models.chat import load_chat
from dataselect.models.token_counts import TokenCounts
from tests.helpers import GOLDEN, MODEL


def test_tokens_are_those_of_training_up_to_the_limit(tmp_path):
    frame = pl.read_parquet(GOLDEN / "pool.parquet")
    messages = frame["messages"].to_list()
    pool = tmp_path / "pool.parquet"
    frame.with_row_index("row").cast({"row": pl.Int64}).write_parquet(pool)
    model = replace(MODEL, max_tokens=80)
    counts = TokenCounts(pool, model)
    counts.count([7, 2, 30])
    counts.count([4])
    assert set(counts.known) == {7, 2, 30, 4}
    chat = load_chat(model)
    for row, tokens in counts.known.items():
        assert tokens == len(chat.encode([messages[row]])[0].ids) <= 80
    assert max(counts.known.values()) == 80
