"""Weights as they are loaded: none random, none of another shape, all finite."""

from dataclasses import replace

import pytest
import torch

from dataselect.models.load import load_causal, load_encoder
from dataselect.models.weights import check_finite, check_stored
from tests.helpers import MODEL, mistake
from tests.models import change_json, change_weights, copy_model

KEY = "model.layers.1.mlp.up_proj.weight"
OTHER_CONFIG = "Use the config.json that belongs to the weights."


@pytest.fixture
def folder(tmp_path):
    return copy_model(tmp_path / "tiny")


@pytest.mark.parametrize("load", [load_causal, load_encoder])
def test_a_missing_weight_is_not_made_up(folder, load):
    change_weights(folder, lambda weights: weights.pop(KEY))
    message = mistake(load, replace(MODEL, name=str(folder)))
    assert message.startswith(f"{folder}/model.safetensors: no weights for ")
    assert (
        "layers.1.mlp.up_proj.weight, which the model that config.json names has; they" in message
    )


def test_a_head_is_missing_only_where_it_is_read(folder):
    change_weights(folder, lambda weights: weights.pop("lm_head.weight"))
    model = replace(MODEL, name=str(folder))
    assert "no weights for lm_head.weight, which" in mistake(load_causal, model)
    assert load_encoder(model).config.hidden_size == 64
    change_json(folder / "config.json", tie_word_embeddings=True)  # then it is the embedding
    assert load_causal(model).lm_head.weight.shape == (2048, 64)


def test_weights_of_another_shape(folder):
    change_json(folder / "config.json", vocab_size=1000)
    assert mistake(load_causal, replace(MODEL, name=str(folder))) == (
        f"{folder}/model.safetensors: `lm_head.weight` and 1 more: expected the shape (1000, 64), "
        f"as config.json says; found (2048, 64). {OTHER_CONFIG}"
    )


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("load", [load_causal, load_encoder])
def test_weights_that_are_not_finite(folder, load, number):
    change_weights(folder, lambda weights: weights[KEY].view(-1).__setitem__(5, number))
    message = mistake(load, replace(MODEL, name=str(folder)))
    assert message.startswith(f"{folder}/model.safetensors: `")
    assert "layers.1.mlp.up_proj.weight`: expected finite weights; found NaN or infinite" in message
    assert "(read as float32)" in message


def test_weights_that_overflow_in_16_bits(folder):
    change_weights(folder, lambda weights: weights[KEY].mul_(1e8))
    load_causal(replace(MODEL, name=str(folder)))
    message = mistake(load_causal, replace(MODEL, name=str(folder), dtype="float16"))
    assert "(read as float16). Set `dtype: float32` if the model overflows" in message


def test_weights_that_are_no_floats_are_finite():
    net = torch.nn.Module()
    net.codes = torch.nn.Parameter(torch.ones(3, dtype=torch.int8), requires_grad=False)
    net.none = torch.nn.Parameter(torch.empty(0))
    check_finite(net, "a model")


def test_a_weight_is_stored_where_its_name_ends_alike_or_the_layer_is_of_another_kind(folder):
    net, name = load_encoder(replace(MODEL, name=str(folder))), str(folder)
    weights = [key for key, _ in net.named_parameters()]
    check_stored(weights, name)  # stored as `model.…`, loaded without it
    change_weights(folder, lambda weights: weights.pop(KEY))
    message = mistake(check_stored, weights, name)
    assert f"no weights for {KEY.removeprefix('model.')}, which" in message
    for layer in (0, 2):  # of no layer: the files may call it something else
        key = KEY.replace("1", str(layer))
        change_weights(folder, lambda weights, key=key: weights.pop(key))
    check_stored(weights, name)
    check_stored(weights, "a/hub-name")
