"""Losses: which tokens count, what a row without them has; against the published in test_golden."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dataselect.embed.losses import losses
from dataselect.models.chat import load_chat
from dataselect.models.load import load_causal
from dataselect.models.parts import encode_responses
from tests.embed import Costs, measure, turns
from tests.helpers import MODEL
from tests.packed_rows import pack_on_cpu

ROWS = [
    turns("What is the capital of France?", "Paris."),
    [*turns("One?", "1"), *turns("Two?", "2 and no more")],
    turns("hello"),
]


def token_nll(row):
    """The loss of every token but the first under the model, one row at a time."""
    ids = torch.from_numpy(row.ids.astype(np.int64))
    with torch.inference_mode():
        logits = load_causal(MODEL)(ids[None]).logits[0, :-1]
    return torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none").numpy()


def test_means_over_the_tokens_that_their_names_say():
    found = measure(losses(), ROWS)
    for number, row in enumerate(load_chat(MODEL).encode(ROWS[:2])):
        nll, response = token_nll(row), row.response[1:]
        expected = {
            "whole_nll": nll.mean(),
            "response_nll": nll[response].mean(),
            "prompt_nll": nll[~response].mean(),
            "probability": np.exp(-nll[response]).mean(),
        }
        for name, value in expected.items():
            assert found[name][number] == pytest.approx(value, rel=1e-5), name
            assert found[name].dtype == np.float32
    assert np.isnan(found["response_nll"][2])
    assert np.isnan(found["probability"][2])
    assert np.isfinite(found["whole_nll"]).all()


def test_a_direct_loss_is_of_every_response_after_the_bare_header():
    costs = Costs()
    found = measure(losses(direct=True), ROWS, progress=costs)["direct_nll"]
    sums, tokens = 0.0, 0
    for _, row in encode_responses(load_chat(MODEL), ROWS[1:2]):
        nll = token_nll(row)[row.response[1:]]
        sums, tokens = sums + nll.sum(), tokens + len(nll)
    assert found[1] == pytest.approx(sums / tokens, rel=1e-5)
    assert np.isnan(found[2])
    assert costs.rows == 3


def test_a_row_that_is_truncated_is_marked():
    rows = [turns("a", "word " * 100), turns("a", "b")]
    found = measure(losses(), rows, replace(MODEL, max_tokens=32))
    assert found["cut"].tolist() == [True, False]


@pytest.mark.parametrize("direct", [False, True])
def test_outputs_and_bytes_are_those_of_the_arrays(direct):
    feature = losses(direct=direct)
    found = measure(feature, ROWS)
    assert set(found) == set(feature.outputs)
    assert sum(array[0].nbytes for array in found.values()) == feature.bytes_per_row(None, 0)
    assert ("direct_nll" in found) == direct


def test_losses_of_packed_rows_equal_those_of_padded_ones(monkeypatch):
    rows = [*ROWS, *(turns("word " * (n % 5 + 1), "w " * n) for n in range(12))]
    padded = measure(losses(direct=True), rows)
    pack_on_cpu(monkeypatch, 60)
    monkeypatch.setattr("dataselect.models.nll.TOKENS_IN_FP32", 7)
    costs = Costs()
    packed = measure(losses(direct=True), rows, progress=costs)
    assert set(packed) == set(padded)
    for name, values in padded.items():
        np.testing.assert_allclose(packed[name], values, rtol=1e-6, atol=1e-6)
    assert costs.rows == pytest.approx(len(rows)) and len(costs.calls) > 4
