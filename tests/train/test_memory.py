"""The memory of training: what is held, worked by hand; and against torch's MemTracker."""

import sys
from dataclasses import replace

import pytest

from dataselect.models.architecture import from_config, gated_shapes
from dataselect.train.fit import Recipe
from dataselect.train.memory import Machine, adapted, needed
from tests.helpers import ROOT

#: Llama 2's 7 B.
CONFIG = {
    "model_type": "llama", "vocab_size": 32_000, "hidden_size": 4_096, "num_hidden_layers": 32,
    "intermediate_size": 11_008, "num_attention_heads": 32, "num_key_value_heads": 32,
}  # fmt: skip
SHAPE = from_config(CONFIG, gated_shapes(CONFIG))
COUNT = 6_738_411_520  # parameters, but for the last norm's
CPU = Machine(None, False, 1)


def held(**changes):
    """Weights, gradients and optimiser in bytes for each parameter."""
    need = needed(SHAPE, Recipe(**changes), 1, "float32", CPU)
    return [round(part / COUNT, 2) for part in (need.weights, need.gradients, need.optimizer)]


def test_what_is_held_of_every_parameter():
    assert SHAPE.parameters == COUNT
    assert held() == [4, 4, 8]  # 108 GB
    assert held(weights="bfloat16") == [2, 2, 4]  # 54 GB, as the published code
    assert held(weights="bfloat16", optimizer="adamw_float32") == [2, 2, 8]
    # Of 8 bits with their blocks' constants; but for the embedding, of 32.
    embedding = 32_000 * 4_096 / COUNT
    moments = round(2 * 1.03 * (1 - embedding) + 8 * embedding, 2)
    assert held(weights="bfloat16", optimizer="adamw_8bit") == [2, 2, moments] == [2, 2, 2.18]
    need = needed(SHAPE, Recipe(weights="bfloat16"), 1, "bfloat16", CPU)
    assert need.held == 8 * COUNT


def test_what_is_held_of_adapters():
    recipe = Recipe(method="lora", lora_rank=8, lora_modules=["q_proj"], weights="bfloat16")
    assert adapted(SHAPE, recipe) == [(4_096, 4_096)] * 32
    adapters = 32 * 8 * (4_096 + 4_096)
    need = needed(SHAPE, recipe, 1, "bfloat16", CPU)
    assert need.weights == 2 * COUNT + 4 * adapters
    assert (need.gradients, need.optimizer) == (4 * adapters, 8 * adapters)
    everywhere = Recipe(method="lora", lora_rank=8)
    assert len(adapted(SHAPE, everywhere)) == 32 * 7  # not embedding and head, as in peft
    small = needed(SHAPE, Recipe(method="lora", weights="nf4"), 1, "bfloat16", CPU)
    layers = 32 * (4 * 4_096**2 + 3 * 4_096 * 11_008)
    tables = COUNT - layers
    trained = small.gradients / 4
    assert small.weights == pytest.approx(0.52 * layers + 2 * tables + 4 * trained)


def test_several_processes_hold_gradients_twice():
    one = needed(SHAPE, Recipe(), 1, "float32", CPU)
    two = needed(SHAPE, Recipe(), 1, "float32", Machine(None, True, 2))
    assert two.gradients == 2 * one.gradients


def test_shards_divide_what_is_held_and_gather_a_few_blocks():
    eight = Machine(None, True, 8)
    need = needed(SHAPE, Recipe(sharding="full"), 1, "float32", eight)
    layer = 4 * 4_096**2 + 3 * 4_096 * 11_008
    gathered = 4 * (32_000 * 4_096 + 2 * layer)
    assert need.weights == 4 * COUNT / 8 + gathered
    assert (need.gradients, need.optimizer) == (4 * COUNT / 8, 8 * COUNT / 8)
    in_bfloat16 = needed(SHAPE, Recipe(sharding="full"), 1, "bfloat16", eight)
    assert in_bfloat16.weights == 4 * COUNT / 8 + gathered / 2
    lora = Recipe(method="lora", weights="bfloat16", sharding="full")
    alone = needed(SHAPE, replace(lora, sharding="none"), 1, "bfloat16", Machine(None, True, 1))
    parts = needed(SHAPE, lora, 1, "bfloat16", eight)
    assert (parts.gradients, parts.optimizer) == (alone.gradients, alone.optimizer)
    adapters = alone.weights - 2 * COUNT
    assert parts.weights == 2 * COUNT / 8 + gathered / 2 + adapters


def test_activations_are_beside_gradients_only_where_they_accumulate():
    one = needed(SHAPE, Recipe(batch_size=1), 512, "float32", CPU)
    many = needed(SHAPE, Recipe(batch_size=8), 512, "float32", CPU)
    assert many.total == one.held + one.activations
    assert one.total == one.weights + one.optimizer + max(one.gradients, one.activations)


def test_more_tokens_take_more_and_checkpointing_takes_less():
    full = [needed(SHAPE, Recipe(), n, "float32", CPU).activations for n in (512, 1_024)]
    assert full[1] == 2 * full[0]
    saving = Recipe(gradient_checkpointing=True)
    assert needed(SHAPE, saving, 512, "float32", CPU).activations < 0.2 * full[0]
    # The masks of dropout have a byte a number on a GPU, four on a processor.
    lora = Recipe(method="lora")
    on_gpu = needed(SHAPE, lora, 512, "float32", Machine(None, True, 1))
    assert on_gpu.activations < needed(SHAPE, lora, 512, "float32", CPU).activations


@pytest.mark.slow
def test_it_is_what_torchs_tracker_counts(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    import memory

    sizes = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4}
    monkeypatch.setitem(memory.SHAPES, "test", sizes | {"num_attention_heads": 8})
    monkeypatch.setattr(memory, "TOKENS", 512)
    for way in ("full, fp32", "full, bf16, checkpointing"):
        assert memory.compare("test", way)["ratio"] == pytest.approx(1, abs=0.2), way


@pytest.mark.slow
@pytest.mark.parametrize("way", ["full, fp32", "full, fp32 under bf16 autocast"])
def test_the_estimate_of_shards_is_too(monkeypatch, way):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    import memory
    import sharded_memory

    sizes = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4}
    monkeypatch.setitem(memory.SHAPES, "test", sizes | {"num_attention_heads": 8})
    monkeypatch.setattr(memory, "TOKENS", 512)
    assert sharded_memory.compare("test", way)["ratio"] == pytest.approx(1, abs=0.2)
