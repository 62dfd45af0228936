"""Adapters that belong to another model are refused with the layer and its size."""

import pytest
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from dataselect.models.adapters import check_adapters
from tests.helpers import mistake

SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}


def net(layers=1, **changes):
    return LlamaForCausalLM(LlamaConfig(num_hidden_layers=layers, **(SIZES | changes)))


@pytest.fixture
def folder(tmp_path):
    config = LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    get_peft_model(net(layers=2), config).save_pretrained(tmp_path)
    return tmp_path


def test_adapters_of_the_model_pass(folder):
    check_adapters(net(layers=2), folder, "right")


def test_a_layer_of_another_size(folder):
    message = mistake(check_adapters, net(2, hidden_size=20), folder, "wrong")
    assert message.startswith(f"{folder}: adapters of another model: expected that of `model.lay")
    assert "which has 16 numbers on one side; `wrong` has" in message


def test_a_layer_that_is_not_there(folder):
    message = mistake(check_adapters, net(layers=1), folder, "short")
    assert "`short` has no layer `model.layers.1." in message
    assert message.endswith("Name the model that they were trained on, or train them again.")
