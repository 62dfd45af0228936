"""Lengths: counted before truncation, by the tokenizer alone."""

from dataclasses import replace

from dataselect.embed.lengths import lengths
from dataselect.models.chat import load_chat
from tests.embed import Costs, measure, turns
from tests.helpers import MODEL

ROWS = [turns("q", "word " * 3000), turns("hello"), turns("One?", "1")]


def test_tokens_are_counted_before_truncation():
    costs = Costs()
    found = measure(lengths(), ROWS, replace(MODEL, max_tokens=16), progress=costs)
    encoded = load_chat(MODEL, max_tokens=100_000).encode(ROWS)
    assert found["tokens"].tolist() == [len(row.ids) for row in encoded]
    assert found["response_tokens"].tolist() == [int(row.response.sum()) for row in encoded]
    assert found["tokens"][0] > 2048
    assert found["response_tokens"][1] == 0
    assert (costs.rows, costs.tokens) == (3, found["tokens"].sum())


def test_outputs_and_bytes_are_those_of_the_arrays():
    found = measure(lengths(), ROWS)
    assert set(found) == set(lengths().outputs)
    assert sum(array[0].nbytes for array in found.values()) == lengths().bytes_per_row(None, 0)
