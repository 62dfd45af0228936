"""Loading models: from folders, in the wanted dtype, and what is known without reading weights."""

from dataclasses import replace

import pytest
import torch

from dataselect.models.load import (
    is_folder,
    load_causal,
    load_encoder,
    load_tokenizer,
    parameter_count,
)
from dataselect.models.settings import TokenizerSettings
from tests.helpers import GOLDEN, MODEL, mistake


def test_a_model_is_a_folder_or_a_hub_name(in_scratch):
    assert is_folder(str(GOLDEN / "tiny-llama"))
    assert not is_folder("meta-llama/Llama-3.1-8B")
    (in_scratch / "models").mkdir()
    assert "`models`: expected a model's folder; found one without config.json" in mistake(
        is_folder, "models", "train.model"
    )
    for name in ("./gone", "gone", "models/gone"):
        message = mistake(is_folder, name, "train.model")
        assert message.startswith(f"train.model.name: `{name}`: no such folder")


@pytest.mark.parametrize("load", [load_tokenizer, load_causal, load_encoder, parameter_count])
def test_what_cannot_be_loaded_is_one_message(in_scratch, load):
    message = mistake(load, replace(MODEL, name=str(in_scratch / "gone")))
    assert "(revision None) cannot be loaded: " in message
    assert "\n" not in message


def test_a_tokenizer_needs_no_model_settings():
    settings = TokenizerSettings(name=MODEL.name)
    assert load_tokenizer(settings).eos_token == "</s>"


def test_the_dtype_is_the_settings_unless_another_is_wanted():
    assert load_causal(MODEL).dtype == torch.float32
    assert load_causal(MODEL, "bfloat16").dtype == torch.bfloat16
    encoder = load_encoder(replace(MODEL, dtype="bfloat16"))
    assert encoder.dtype == torch.bfloat16
    assert encoder.get_output_embeddings() is None
    assert not encoder.training


def test_the_number_of_parameters_is_read_from_the_configuration():
    assert parameter_count(MODEL) == sum(p.numel() for p in load_causal(MODEL).parameters())


def test_of_an_encoder_and_decoder_only_the_encoder_counts(tmp_path):
    from transformers import T5Config, T5EncoderModel

    config = T5Config(d_model=16, d_ff=32, num_layers=2, num_heads=2, d_kv=8, vocab_size=40)
    config.save_pretrained(tmp_path)
    encoder = T5EncoderModel(config)
    assert parameter_count(replace(MODEL, name=str(tmp_path))) == sum(
        p.numel() for p in encoder.parameters()
    )
