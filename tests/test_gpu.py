"""What only a GPU can show; skipped where there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dataselect.data.checkpoints import Checkpoint
from dataselect.embed.hidden_states import hidden_states
from dataselect.embed.losses import losses
from dataselect.embed.trajectories import trajectories
from dataselect.models.batches import Batches
from dataselect.models.chat import load_chat
from dataselect.models.load import load_causal, load_encoder, load_tokenizer
from dataselect.models.packed import packed
from dataselect.models.packed_attention import NAME, flash
from dataselect.models.row_gradients import row_gradients
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import Recipe, fit
from tests.embed import measure
from tests.helpers import MODEL
from tests.packed_rows import row_by_row

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "counted", "one", "two", "three"]


def conversations(count=40):
    """Conversations of 2 to 400 words, seeded."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, draw.integers(1, 200))) for _ in range(2 * count)]
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return [[{"role": "user", "content": a}, {"role": "assistant", "content": b}] for a, b in pairs]


@pytest.fixture
def on_cpu(monkeypatch):
    """Measures a feature as if there were no GPU."""

    def measured(*args, **kwargs):
        with monkeypatch.context() as patch:
            patch.setattr(torch.cuda, "is_available", lambda: False)
            return measure(*args, **kwargs)

    return measured


CHECKPOINTS = [Checkpoint(Path(MODEL.name), 1.0)]
FEATURES = {
    "hidden_states": (hidden_states(), []),
    "losses": (losses(direct=True), []),
    "trajectories": (trajectories(), CHECKPOINTS),
}


@pytest.mark.parametrize("name", FEATURES)
def test_features_in_fp32_equal_the_processors(name, on_cpu):
    feature, checkpoints = FEATURES[name]
    expected, found = (
        compute(feature, conversations(), MODEL, checkpoints) for compute in (on_cpu, measure)
    )
    assert set(found) == set(expected)
    for array in expected:
        np.testing.assert_allclose(found[array], expected[array], rtol=2e-3, atol=2e-5)


AUTO = replace(MODEL, dtype="auto")


@pytest.mark.parametrize(("heads", "keys", "size"), [(8, 8, 80), (8, 2, 64), (8, 1, 128)])
@pytest.mark.parametrize("window", [-1, 49])
def test_the_kernel_for_packed_rows_is_causal_attention_in_each(heads, keys, size, window):
    torch.manual_seed(0)
    starts = torch.tensor([0, 300, 301, 378, 512], dtype=torch.int32, device="cuda")
    states = [torch.randn(512, n, size, device="cuda").bfloat16() for n in (heads, keys, keys)]
    expected = row_by_row(*(x.float() for x in states), starts, 300, None, window)
    found = flash(*states, starts, 300, None, window)
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)


def test_auto_is_bf16_in_packed_rows_and_close_to_fp32(monkeypatch):
    net = load_encoder(AUTO)
    assert net.dtype == torch.bfloat16 and packed(net) is not None
    assert net.config._attn_implementation == NAME
    found, again, exact = (
        measure(hidden_states(), conversations(), model)["vectors"].astype(float)
        for model in (AUTO, AUTO, MODEL)
    )
    np.testing.assert_array_equal(found, again)
    cosines = (found * exact).sum(axis=1) / np.linalg.norm(found, axis=1)
    assert cosines.min() > 0.999
    monkeypatch.setattr("dataselect.models.packed.has_kernel", lambda net: False)
    padded = measure(hidden_states(), conversations(), AUTO)["vectors"].astype(float)
    assert ((found * padded).sum(axis=1) / np.linalg.norm(padded, axis=1)).min() > 0.9999


def test_losses_of_packed_rows_are_close_to_fp32():
    found, exact = (measure(losses(), conversations(), model) for model in (AUTO, MODEL))
    for name in ("whole_nll", "response_nll", "prompt_nll"):
        np.testing.assert_allclose(found[name], exact[name], rtol=0.05)


def test_where_memory_runs_out_batches_shrink_and_the_features_stay(capsys):
    expected = measure(losses(), conversations())
    _, total = torch.cuda.mem_get_info()
    torch.cuda.empty_cache()
    try:
        torch.cuda.set_per_process_memory_fraction(150e6 / total)
        found = measure(losses(), conversations())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    printed = capsys.readouterr()
    assert "out of memory: continuing with batches" in printed.out + printed.err
    for array in expected:
        np.testing.assert_allclose(found[array], expected[array], rtol=1e-4)


def test_gradients_of_rows_do_not_depend_on_the_batch():
    recipe = Recipe(method="lora", lora_rank=4, lora_dropout=0.0)
    net = add_adapters(load_causal(MODEL), recipe)
    names = {n: p for n, p in net.named_parameters() if p.requires_grad}
    encoded = load_chat(MODEL).encode(conversations(12))
    together = row_gradients(net.eval(), names, encoded, Batches(4_096))
    alone = row_gradients(net, names, encoded, Batches(1))
    gap = (together - alone).norm(dim=1) / alone.norm(dim=1)
    assert float(gap.max()) < 1e-3


@pytest.mark.parametrize(("method", "checkpointing"), [("full", False), ("lora", True)])
def test_training_in_bf16_learns_and_repeats(method, checkpointing, tmp_path):
    encoded = load_chat(MODEL).encode(conversations())
    recipe = Recipe(
        method=method, gradient_checkpointing=checkpointing, lora_rank=8, batch_size=8,
        micro_batch_size=4, learning_rate=1e-3, epochs=3,
    )  # fmt: skip

    def losses_of(name):
        torch.manual_seed(0)
        net = add_adapters(load_causal(MODEL), recipe)
        trainer = fit(net, load_tokenizer(MODEL), encoded, tmp_path / name, recipe)
        assert trainer.args.bf16
        return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]

    first, second = losses_of("first"), losses_of("second")
    assert first[-1] < 0.9 * first[0]
    np.testing.assert_allclose(first, second, rtol=1e-2)
