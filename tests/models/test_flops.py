"""FLOPs per token, from the parameters that are multiplied with."""

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from dataselect.models.flops import forward_flops, training_flops
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe


@pytest.mark.parametrize("tied", [True, False])
def test_flops_of_a_token_count_what_is_multiplied_with(tied):
    shape = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    net = LlamaForCausalLM(
        LlamaConfig(vocab_size=50, tie_word_embeddings=tied, **shape, **heads)
    )  # fmt: skip
    body = 2 * (4 * 8 * 8 + 3 * 8 * 16 + 2 * 8) + 8  # two layers, norms, the last norm
    assert forward_flops(net, head=False) == 2 * body
    assert forward_flops(net, head=True) == 2 * (body + 50 * 8)
    assert training_flops(net, 10) == 10 * 6 * (body + 50 * 8)
    lora = add_adapters(net, Recipe(
        method="lora", lora_rank=2, lora_alpha=4, lora_dropout=0.0, lora_modules=["q_proj"],
    ))  # fmt: skip
    adapters = 2 * (2 * 8 + 8 * 2)  # two layers, down and up
    assert training_flops(lora, 10) == 10 * (4 * (body + 50 * 8) + 6 * adapters)
