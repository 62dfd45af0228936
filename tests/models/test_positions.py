"""Learned positions: how many a model has, by its configuration and as it is loaded."""

from dataclasses import replace

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPT2Config,
    LlavaConfig,
    MambaConfig,
)

from dataselect.models.load import load_causal, load_encoder
from dataselect.models.positions import (
    TABLE_LENGTHS,
    check_positions,
    context_length,
    learned_positions,
    table_length,
)
from tests.helpers import GOLDEN, MODEL, mistake

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
            f"model.max_tokens: expected at most 16, the number of positions that `{tmp_path}` "
            "has learned; found 17. Set it to 16."
        )
        assert load(replace(model, max_tokens=16)).config.model_type == kind


def test_the_context_length_is_read_by_each_of_its_names():
    assert context_length(AutoConfig.from_pretrained(GOLDEN / "tiny-llama")) == 2048
    assert context_length(GPT2Config(n_positions=77)) == 77
    assert context_length({"n_ctx": 12}) == 12
    assert context_length({"text_config": {"max_position_embeddings": 9}, "n_ctx": 12}) == 9


def test_the_part_for_text_counts():
    text = {"model_type": "llama", "max_position_embeddings": 33}
    assert context_length(LlavaConfig(text_config=text)) == 33


def test_a_model_without_positions_has_no_limit():
    assert context_length(MambaConfig()) is None
    assert context_length({"max_position_embeddings": -1}) is None
