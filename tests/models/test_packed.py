"""Packed rows: every row has the states that it has alone, for many kinds of models."""

import numpy as np
import pytest
import torch
from transformers import AutoModel
from transformers.modeling_layers import GradientCheckpointingLayer

from dataselect.models import packed as module
from dataselect.models.packed import packed, segment_sums
from dataselect.models.packed_attention import NAME
from tests.packed_rows import pack_on_cpu
from tests.train.test_packing import make as make_model

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
    """An encoder with random weights."""
    return make_model(kind, AutoModel, scale=3, **changes)


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


MOE = {"num_local_experts": 4, "num_experts_per_tok": 2}
QWEN = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
QWEN |= {"shared_expert_intermediate_size": 32, "sliding_window": 16, "max_window_layers": 2}


@pytest.mark.parametrize(
    ("kind", "changes", "packs"),
    [
        ("Mixtral", MOE | {"sliding_window": 16}, True),
        ("Phimoe", MOE | {"sliding_window": None}, True),
        ("Phimoe", MOE | {"sliding_window": 16}, False),
        ("Qwen2Moe", QWEN | {"use_sliding_window": False}, True),
        ("Qwen2Moe", QWEN | {"use_sliding_window": True}, False),
        ("Llama4Text", MOE | {"attention_chunk_size": 16, "head_dim": 8}, False),
    ],
)
def test_a_window_that_masks_alone_have_needs_padded_batches(kind, changes, packs, on_gpu):
    """The rows that a model is tried on are shorter than the window."""
    net = make(kind, **changes)
    assert (packed(net) is not None) == packs


def test_on_a_processor_rows_are_padded():
    assert packed(make("Llama")) is None


def test_sums_by_row():
    values = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    found = segment_sums(values, torch.tensor([2, 0, 1]))
    assert found.tolist() == [[3.0, 30.0], [0.0, 0.0], [4.0, 40.0]]


@pytest.fixture
def compiled_by(monkeypatch):
    """Compiles with another backend than torch's own."""
    compile_blocks = module._compile_blocks

    def use(backend):
        def compile(block, **_):  # noqa: A001
            torch.nn.Module.compile(block, backend=backend, dynamic=True)

        pack_on_cpu(monkeypatch)
        monkeypatch.setattr(module, "_compile_blocks", compile_blocks)
        monkeypatch.setattr(GradientCheckpointingLayer, "compile", compile)

    return use


@pytest.mark.parametrize("works", [True, False])
@pytest.mark.torture
def test_compiled_blocks_give_the_same_states_and_a_failure_is_said(
    works, compiled_by, capsys, in_scratch
):
    graphs = []

    def backend(graph, inputs):
        if not works:
            raise RuntimeError("no compiler")
        graphs.append(graph)
        return graph.forward

    compiled_by(backend)
    net = make("Llama")
    with torch.inference_mode():
        alone = [net(torch.from_numpy(row)[None].long())[0][0] for row in ROWS]
        together = packed(net, compiled=True)(ROWS).last_hidden_state[0]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)
    assert bool(graphs) == works
    assert ("not compiled" in capsys.readouterr().out) == (not works)
    torch.compiler.reset()
