"""Packed rows: none sees another, and training ends with the weights of padded rows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from dataselect.models.load import load_causal, load_tokenizer
from dataselect.models.tokens import Encoded
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe, fit
from dataselect.train.nets import check_types
from dataselect.train.packing import check_rows_apart, packing_collator
from tests.helpers import MODEL, mistake

PACKED = Recipe(packed=True, micro_batch_size=4, batch_size=8, threads=1)
SIZES = {
    "vocab_size": 128, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
}  # fmt: skip
APART = {
    "Llama": {},
    "Qwen2": {},
    "Qwen3": {},
    "Phi": {"num_key_value_heads": 4},
    "Phi3": {},
    "Gemma": {},
    "Gemma2": {"sliding_window": 3},
    "Gemma3Text": {"sliding_window": 3},
    "Mistral": {"sliding_window": 3},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
}


def make(kind, loader=AutoModelForCausalLM, scale=5, **changes):
    """A model with random weights, larger than they are drawn, so that attention matters."""
    config = getattr(transformers, f"{kind}Config")(**SIZES | changes)
    torch.manual_seed(0)
    net = loader.from_config(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter *= scale
    return net


def logits(net, rows):
    batch = packing_collator()([{"input_ids": row, "labels": row} for row in rows])
    batch.pop("labels")
    with torch.no_grad():
        return net(**batch, use_cache=False).logits[0].split([len(row) for row in rows])


@pytest.mark.parametrize("kind", APART)
def test_no_row_sees_another(kind):
    net = make(kind, **APART[kind])
    if kind != "Gemma2":
        assert net.config._attn_implementation == "sdpa"
    check_rows_apart(net, PACKED)
    rows = [[5, 6, 7, 8], [9, 10], [11], [12, 13, 14, 15, 16]]
    changed = [[50, 61, 72, 83], [9, 10], [99], [12, 13, 14, 15, 16]]
    before, after = logits(net, rows), logits(net, changed)
    for number in (1, 3):
        assert torch.equal(before[number], after[number])
        alone = net(torch.tensor([rows[number]])).logits[0]
        torch.testing.assert_close(before[number], alone, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(before[0], after[0])


@pytest.mark.parametrize("kind", ["Bloom", "Mamba"])
def test_a_model_that_lets_rows_see_each_other_is_refused(kind):
    net = make(kind, n_layer=2, n_head=4, head_dim=8, state_size=4)
    message = mistake(check_rows_apart, net, PACKED)
    assert message.startswith("train.packed: true: expected a model that keeps packed rows apart")
    assert f"({kind.lower()}, with the attention" in message


def test_an_attention_that_ignores_where_rows_begin_is_refused(monkeypatch):
    net = make("Llama")
    monkeypatch.setattr("transformers.masking_utils.find_packed_sequence_indices", lambda _: None)
    assert "a row sees the rows beside it" in mistake(check_rows_apart, net, PACKED)


def test_rows_apart_in_bfloat16(monkeypatch):
    net = make("Llama")
    check_rows_apart(net, replace(PACKED, dtype="bfloat16"))
    monkeypatch.setattr("transformers.masking_utils.find_packed_sequence_indices", lambda _: None)
    assert "a row sees" in mistake(check_rows_apart, net, replace(PACKED, dtype="bfloat16"))


def test_micro_batches_of_one_row_have_nothing_to_pack():
    check_types(PACKED, "train")
    message = mistake(check_types, replace(PACKED, micro_batch_size=1), "params.yaml: train")
    assert "params.yaml: train.packed: true: has no effect with `micro_batch_size: 1`" in message


def uneven_rows():
    """Rows of 3 to 25 tokens; of some every token is a response's."""
    generator = np.random.default_rng(0)
    for number in range(21):  # an epoch ends in a step of five rows
        ids = generator.integers(5, 500, size=3 + 5 * number % 23, dtype=np.int32)
        response = generator.random(len(ids)) < 0.5
        response[-1] = True
        yield Encoded(ids, response if number % 3 else np.ones_like(response))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gradient_checkpointing": True},
        {"method": "lora", "lora_rank": 4, "lora_dropout": 0.0},
        {"loss_per": "micro_batch"},
    ],
    ids=str,
)
def test_packed_training_ends_with_the_weights_of_padded_training(tmp_path, changes):
    weights, losses = {}, {}
    for packed in (False, True):
        recipe = replace(PACKED, packed=packed, epochs=2, learning_rate=1e-3, **changes)
        net = add_adapters(load_causal(MODEL, "float32"), recipe)
        before = {n: p.detach().clone() for n, p in net.named_parameters() if p.requires_grad}
        rows, home = list(uneven_rows()), tmp_path / str(packed)
        trainer = fit(net, load_tokenizer(MODEL), rows, home, recipe)
        weights[packed] = {name: dict(net.named_parameters())[name].detach() for name in before}
        losses[packed] = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        assert trainer.state.global_step == 6
        assert any((weights[packed][name] - before[name]).abs().max() > 1e-3 for name in before)
    assert losses[True] == pytest.approx(losses[False], rel=1e-5)
    for name, weight in weights[False].items():
        torch.testing.assert_close(weights[True][name], weight, rtol=1e-3, atol=2e-5)
