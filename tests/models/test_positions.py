"""Learned positions: how many a model has, by its configuration and as it is loaded."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from dataselect.models.load import load_causal, load_encoder
from dataselect.models.positions import (
    TABLE_LENGTHS,
    check_positions,
    learned_positions,
    table_length,
)
from tests.helpers import MODEL, mistake

SMALL = {
    "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_position_embeddings": 16, "ffn_dim": 16, "intermediate_size": 16,
    "word_embed_proj_dim": 16, "num_layers": 1, "attention_types": [[["global"], 1]],
    "rotary_dim": 4, "pad_token_id": 1, "dff": 16,
}  # fmt: skip


def small(kind, **settings):
    """A small model of random weights."""
    torch.manual_seed(0)
    heads = {"num_attention_heads": 4} if kind == "codegen" else {}
    return AutoModelForCausalLM.from_config(
        AutoConfig.for_model(kind, **(SMALL | heads | settings))
    ).eval()


@pytest.mark.parametrize("kind", TABLE_LENGTHS)
def test_a_table_holds_so_many_tokens_and_none_more(kind):
    net = small(kind)
    assert learned_positions(net.config.to_dict()) == 16
    ids = torch.ones((1, 17), dtype=torch.long)
    with torch.inference_mode():
        assert net(ids[:, :16]).logits.shape[1] == 16
        with pytest.raises((IndexError, RuntimeError)):
            net(ids)
    if kind != "ctrl":  # whose table is no part of the model
        assert table_length(net) == 16


@pytest.mark.parametrize("kind", TABLE_LENGTHS)
def test_without_a_number_the_type_has_its_own(kind):
    config = AutoConfig.for_model(kind)
    assert learned_positions({"model_type": kind}) == config.max_position_embeddings


def test_other_positions_have_no_limit():
    net = small("llama", max_position_embeddings=4)
    assert learned_positions(net.config.to_dict()) is None
    assert table_length(net) is None
    assert learned_positions({}) is None
    check_positions(None, 10**9, "a model", "model")
    check_positions(16, 16, "a model", "model")


@pytest.mark.parametrize("kind", ["gpt2", "opt"])
def test_more_tokens_than_positions_are_refused_when_loaded(tmp_path, kind):
    small(kind).save_pretrained(tmp_path)
    model = replace(MODEL, name=str(tmp_path), max_tokens=17)
    for load in (load_causal, load_encoder):
        assert mistake(load, model) == (
            f"model.max_tokens: expected at most 16: `{tmp_path}` has learned a position for so "
            "many tokens, and none beyond; found 17. Set it to 16."
        )
        assert load(replace(model, max_tokens=16)).config.model_type == kind
