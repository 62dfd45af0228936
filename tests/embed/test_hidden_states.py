"""Pooled hidden states worked by hand; against the published vectors in test_golden."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dataselect.embed.hidden_states import hidden_states, pool
from dataselect.models.chat import load_chat
from dataselect.models.load import load_encoder, load_tokenizer
from tests.embed import Costs, measure, turns
from tests.helpers import MODEL
from tests.packed_rows import pack_on_cpu

ROWS = [turns("What is 1 + 1?", "2"), turns("Count.", "1 2 3 4 5 6 7 8 9"), turns("hello")]


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("weighted_mean", [1 * 1 / 3, 2 * 1 / 3]),  # tokens 1 and 2 weigh 1/3 and 2/3
        ("mean", [1 / 2, 1 / 2]),
        ("last_token", [0, 1]),
    ],
)
def test_pooling_by_hand(pooling, expected):
    states = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [99.0, 99.0]]])
    kept = torch.tensor([[True, True, False]])
    np.testing.assert_allclose(pool(states, kept, pooling, unit=False)[0], expected, rtol=1e-6)
    vector = np.asarray(expected) / np.linalg.norm(expected)
    np.testing.assert_allclose(pool(states, kept, pooling)[0], vector, rtol=1e-6)


def test_a_row_without_such_tokens_is_all_zeros():
    states = torch.ones(1, 3, 2)
    none = torch.zeros(1, 3, dtype=torch.bool)
    for pooling in ("weighted_mean", "mean", "last_token"):
        assert pool(states, none, pooling).tolist() == [[0.0, 0.0]]
    for over in ("response", "masked_response"):
        found = measure(hidden_states(over=over), ROWS)["vectors"]
        assert found.any(axis=1).tolist() == [True, True, False]
    found = measure(hidden_states(over="prompt"), [ROWS[0][1:], ROWS[0]])["vectors"]
    assert found.any(axis=1).tolist() == [False, True]


def test_a_prompts_vector_does_not_depend_on_the_response():
    rows = [turns("One?", response) for response in ("1", "a long answer")]
    for over in ("prompt", "masked_prompt"):
        first, second = measure(hidden_states(over=over), rows)["vectors"]
        np.testing.assert_allclose(first, second, atol=1e-6)
    for over in ("response", "masked_response"):
        first, second = measure(hidden_states(over=over), rows)["vectors"]
        assert np.abs(first - second).max() > 1e-3


def vector_of(text):
    """The vector of a text by the published code: all its tokens, without a conversation."""
    ids = load_tokenizer(MODEL)(text, return_tensors="pt").input_ids
    with torch.inference_mode():
        states = load_encoder(MODEL)(input_ids=ids).last_hidden_state
    return pool(states, torch.ones_like(ids, dtype=torch.bool), "weighted_mean")[0].numpy()


@pytest.mark.parametrize(
    ("over", "side", "text"),
    [
        ("prompt", "pool", "<|system|>\nBe brief.\n<|user|>\nOne?</s>"),
        ("response", "pool", "<|assistant|>\n1</s>"),
        ("prompt", "queries", "<|system|>\nBe brief.\n<|user|>\nOne?</s>"),
        ("response", "queries", "<s>1</s>"),
    ],
)
def test_a_part_is_encoded_alone_as_in_the_published_code(over, side, text):
    rows = [[{"role": "system", "content": "Be brief."}, *turns(" One? ", " 1 ")]]
    if side == "pool":  # what follows does not matter
        rows.append([*rows[0], *turns("Two?", "2")])
    for vector in measure(hidden_states(over=over), rows, side=side)["vectors"]:
        np.testing.assert_allclose(vector, vector_of(text), atol=1e-5)


@pytest.mark.parametrize(("over", "marked"), [("masked_prompt", False), ("masked_response", True)])
def test_a_masked_part_is_pooled_over_the_whole_conversation(over, marked):
    (row,) = load_chat(MODEL).encode(ROWS[:1])
    with torch.inference_mode():
        ids = torch.from_numpy(row.ids.astype(np.int64))[None]
        states = load_encoder(MODEL)(input_ids=ids).last_hidden_state
    expected = pool(states, torch.from_numpy(row.response == marked)[None], "weighted_mean")[0]
    (found,) = measure(hidden_states(over=over), ROWS[:1])["vectors"]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_vectors_are_pooled_states_of_the_model_in_any_batch():
    costs = Costs()
    found = measure(hidden_states(pooling="mean", unit=False), ROWS, progress=costs)["vectors"]
    encoder = load_encoder(MODEL)
    encoded = load_chat(MODEL).encode(ROWS)
    for row, vector in zip(encoded, found, strict=True):
        ids = torch.from_numpy(row.ids.astype(np.int64))[None]
        with torch.inference_mode():
            states = encoder(input_ids=ids).last_hidden_state[0]
        np.testing.assert_allclose(vector, states.mean(0), atol=1e-5)
    assert (costs.rows, costs.tokens) == (3, sum(len(row.ids) for row in encoded))


def test_outputs_and_bytes_are_those_of_the_arrays():
    feature = hidden_states()
    found = measure(feature, ROWS)
    assert set(found) == set(feature.outputs)
    assert found["vectors"][0].nbytes == feature.bytes_per_row(found["vectors"].shape[1], 0)
    assert feature.bytes_per_row(None, 0) is None
    assert feature.needs_reference is None
    half = measure(feature, ROWS, replace(MODEL, dtype="bfloat16"))["vectors"]
    assert half.dtype == np.float16
    np.testing.assert_allclose(half, found["vectors"], atol=0.03)


@pytest.mark.parametrize("over", ["all", "prompt", "response", "masked_prompt", "masked_response"])
@pytest.mark.parametrize("pooling", ["weighted_mean", "mean", "last_token"])
def test_packed_vectors_equal_padded_ones(over, pooling, monkeypatch):
    feature = hidden_states(pooling=pooling, over=over)
    rows = [*ROWS, *(turns("word " * (n % 5 + 1), "w " * n) for n in range(12))]
    padded = measure(feature, rows)["vectors"]
    pack_on_cpu(monkeypatch, 100)
    costs = Costs()
    packed = measure(feature, rows, progress=costs)["vectors"]
    np.testing.assert_allclose(packed, padded, atol=1e-6)
    assert costs.rows == len(rows) and len(costs.calls) > 1
