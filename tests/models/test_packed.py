"""Packed rows: every row has the states that it has alone, for many kinds of models."""

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModel

from dataselect.models.packed import packed, segment_sums
from dataselect.models.packed_attention import NAME
from tests.packed_rows import pack_on_cpu
from tests.train.test_packing import SIZES

KINDS = {
    "Llama": {},
    "Qwen2": {},
    "Qwen3": {},
    "Gemma": {},
    "Gemma3Text": {"sliding_window": 3},
    "Mistral": {"sliding_window": 3},
    "Phi": {"num_key_value_heads": 4},
    "Phi3": {},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
}


def make(kind, **changes):
    """An encoder with random weights, larger than they are drawn, so that attention matters."""
    config = getattr(transformers, f"{kind}Config")(**SIZES | changes)
    torch.manual_seed(0)
    net = AutoModel.from_config(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter *= 3
    return net


@pytest.fixture
def on_gpu(monkeypatch):
    """Rows are packed as on a GPU; the kernel's stand-in computes them."""
    pack_on_cpu(monkeypatch)


ROWS = [np.arange(5, 5 + 3 * t, 3, dtype=np.int32) for t in (11, 2, 1, 7)]


@pytest.mark.parametrize("kind", KINDS)
def test_packed_rows_have_the_states_of_the_rows_alone(kind, on_gpu):
    net = make(kind, **KINDS[kind])
    with torch.inference_mode():
        alone = [net(torch.from_numpy(row)[None].long())[0][0] for row in ROWS]
        reader = packed(net)
        assert reader is not None and net.config._attn_implementation == NAME
        together = reader(ROWS).last_hidden_state[0].split([len(row) for row in ROWS])
    for found, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["Gemma2", "Bloom", "Mamba", "Bert"])
def test_models_without_such_attention_keep_padded_batches(kind, on_gpu, capsys):
    net = make(kind, n_layer=2, n_head=4, head_dim=8, state_size=4)
    ids = torch.from_numpy(ROWS[0])[None].long()
    before, attention = net(ids)[0], getattr(net.config, "_attn_implementation", None)
    assert packed(net) is None
    assert "rows are padded" in capsys.readouterr().out
    assert net.config._attn_implementation == attention
    torch.testing.assert_close(net(ids)[0], before)


def test_on_a_processor_rows_are_padded():
    assert packed(make("Llama")) is None


def test_sums_by_row():
    values = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    found = segment_sums(values, torch.tensor([2, 0, 1]))
    assert found.tolist() == [[3.0, 30.0], [0.0, 0.0], [4.0, 40.0]]
