"""bitsandbytes: what is said where it is missing, and how weights are loaded in 4 bits."""

import importlib
from dataclasses import replace

import pytest
import torch

from dataselect.models.load import load_causal
from dataselect.models.quantized import load_bitsandbytes, nf4_settings
from dataselect.train.fit import Recipe
from dataselect.train.nets import load_trainable
from tests.helpers import MODEL, mistake


@pytest.fixture
def failing(monkeypatch):
    def fail_with(error):
        def import_module(name):
            assert name == "bitsandbytes"
            raise error

        monkeypatch.setattr(importlib, "import_module", import_module)

    return fail_with


def test_a_missing_library_names_its_extra(failing):
    failing(ModuleNotFoundError("No module named 'bitsandbytes'"))
    message = mistake(load_bitsandbytes, "weights: nf4")
    assert message.startswith("`weights: nf4`: `bitsandbytes` is not installed. Install it: pip")
    assert "'dataselect[bitsandbytes]'" in message
    recipe = Recipe(optimizer="adamw_8bit")
    assert "`optimizer: adamw_8bit`" in mistake(load_trainable, MODEL, recipe)
    assert "`weights: nf4`" in mistake(
        load_trainable, MODEL, replace(Recipe(method="lora"), weights="nf4")
    )


def test_a_library_that_does_not_work_here_says_why(failing):
    failing(RuntimeError("CUDA 99\nis not supported"))
    message = mistake(load_bitsandbytes, "weights: nf4")
    assert "bitsandbytes does not work here: CUDA 99 is not supported. Install" in message


@pytest.mark.slow
def test_linear_layers_are_loaded_in_4_bits():
    pytest.importorskip("bitsandbytes")
    assert nf4_settings().bnb_4bit_quant_type == "nf4"
    net = load_causal(MODEL, "nf4")
    assert net.model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
    assert net.get_input_embeddings().weight.dtype == torch.bfloat16
    ids = torch.arange(5, 45)[None]
    with torch.no_grad():
        small, full = net(ids).logits.float(), load_causal(MODEL, "float32")(ids).logits
    assert torch.corrcoef(torch.stack([small.flatten(), full.flatten()]))[0, 1] > 0.9
