"""The sizes of a decoder from its files: those of the loaded model."""

import json

import pytest
from transformers import AutoModelForCausalLM, GPT2Config, T5Config

from dataselect.models.architecture import from_config, gated_shapes, read_architecture
from dataselect.models.load import load_architecture, load_causal
from dataselect.models.settings import ModelSettings
from tests.helpers import GOLDEN, MODEL


def test_the_sizes_of_a_model_in_a_folder():
    shape = read_architecture(MODEL)
    net = load_causal(MODEL)
    assert shape.parameters == sum(p.numel() for p in net.parameters())
    assert (shape.hidden, shape.layers) == (net.config.hidden_size, net.config.num_hidden_layers)
    assert shape.gated
    linear = [m for name, m in net.named_modules() if name.endswith("_proj")]
    sizes = sorted((m.out_features, m.in_features) for m in linear)
    assert sorted(shape.layer_matrices.values()) == sizes


def test_a_configuration_alone_says_the_same_of_a_gated_decoder():
    config = json.loads((GOLDEN / "tiny-llama" / "config.json").read_text())
    shape, stored = from_config(config, gated_shapes(config)), read_architecture(MODEL)
    assert shape.layer_matrices == stored.layer_matrices
    # All but the last norm.
    assert stored.parameters - shape.parameters == stored.hidden
    assert gated_shapes(config | {"model_type": "gpt2"}) == {}


def test_another_kind_of_decoder_is_known_by_its_weights(tmp_path):
    config = GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=50, n_positions=16)
    config.save_pretrained(tmp_path)
    model = ModelSettings(name=str(tmp_path))
    assert read_architecture(model) is None  # no weights, and not gated
    shape = load_architecture(model)
    net = AutoModelForCausalLM.from_config(config)
    assert shape.parameters == sum(p.numel() for p in net.parameters())
    assert (shape.hidden, shape.intermediate, shape.gated) == (32, 128, False)
    assert len(shape.layer_matrices) == 2 * 4


@pytest.mark.parametrize("name", ["gone/away", None])
def test_what_is_not_known(name, tmp_path):
    if name is None:
        T5Config().save_pretrained(tmp_path)
        name = str(tmp_path)
    assert read_architecture(ModelSettings(name=name)) is None


@pytest.mark.parametrize("wrong", ["64", None, 0, -1, 2**70, 1.5, True, [64], {"a": 1}])
def test_sizes_that_are_none_are_not_known(wrong):
    config = json.loads((GOLDEN / "tiny-llama" / "config.json").read_text())
    shapes = gated_shapes(config)
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"):
        assert from_config(config | {name: wrong}, shapes) is None
        assert gated_shapes(config | {name: wrong}) == {}
    assert gated_shapes(config | {"num_hidden_layers": 10**9}) == {}
    assert from_config(config | {"intermediate_size": wrong}, shapes).intermediate == 256
