"""Names of linear layers, as they are stored and as LoRA finds them."""

import pytest
import torch

from dataselect.models.layers import LOOK_UP, check_lora_modules, stored_layers
from dataselect.models.load import load_causal
from tests.helpers import GOLDEN, MODEL, mistake
from tests.models.test_positions import small


def linear(names):
    """Of some layers those that look up nothing."""
    return {name for name in names if not LOOK_UP.search(name.rsplit(".", 1)[-1])}


def test_stored_layers_are_those_of_the_loaded_model(tmp_path):
    layers = (torch.nn.Linear, torch.nn.Embedding)
    expected = {name for name, m in load_causal(MODEL).named_modules() if isinstance(m, layers)}
    stored = stored_layers(GOLDEN / "tiny-llama")
    assert stored == expected
    assert expected - linear(stored) == {"model.embed_tokens"}
    assert stored_layers(tmp_path) == set()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("gpt2", {"c_attn", "c_proj", "c_fc"}),
        ("opt", {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"}),
        ("gpt_neox", {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h", "embed_out"}),
    ],
)
def test_of_other_models_too(tmp_path, kind, names):
    small(kind).save_pretrained(tmp_path)
    found = {name.rsplit(".", 1)[-1] for name in linear(stored_layers(tmp_path))}
    assert found == names


def test_names_are_compared_as_peft_does():
    layers = ["model.layers.0.attn.q_proj", "model.layers.0.mlp.up_proj", "model.embed_tokens"]
    for right in (["q_proj"], ["attn.q_proj", "up_proj"], [layers[0]], ["embed_tokens"], []):
        check_lora_modules(right, layers, "train.lora_modules")
    check_lora_modules("all-linear", [], "train.lora_modules")
    assert mistake(
        check_lora_modules, ["q_proj", "proj", "q_pro"], layers, "train.lora_modules"
    ) == (
        "train.lora_modules: the model has no layer called proj, q_pro. Name some of its linear "
        "layers, q_proj, up_proj; or set `all-linear`."
    )
