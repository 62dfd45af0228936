"""What is known of a model without reading its weights."""

from dataclasses import replace

from dataselect.models.load import load_causal, parameter_count
from tests.helpers import MODEL


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
