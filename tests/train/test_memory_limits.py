"""What cannot fit is refused before it is loaded, and what would fit is named."""

import json
from dataclasses import replace

import pytest
import yaml

from dataselect.compute import memory as machine_memory
from dataselect.models.architecture import read_architecture
from dataselect.train import run as stage
from dataselect.train.fit import Recipe
from dataselect.train.memory import Machine, Memory
from dataselect.train.memory_limits import (
    TRAIN_SETTINGS,
    alternatives,
    check_fits,
    describe,
)
from dataselect.train.nets import check_types
from dataselect.train.run import TrainSection, train
from tests.helpers import MODEL, mistake

CPU = Machine(None, False, 1)


def need(held, activations):
    return Memory(held, 0.0, 0.0, activations, accumulates=True)


def test_only_what_is_certain_is_refused():
    check_fits(need(50.0, 50.0), None, "train", {})
    check_fits(need(90.0, 29.0), 100.0, "train", {})  # an estimate may be too high by a fifth
    assert "train: expected a run that fits into 100 bytes; found" in mistake(
        check_fits, need(90.0, 31.0), 100.0, "train", {}
    )
    message = mistake(check_fits, need(101.0, 0.0), 100.0, "train", {})
    assert "No setting makes it fit here." in message


def test_the_first_three_settings_that_fit_are_named():
    offers = {f"`setting: {n}`": need(float(n), 0.0) for n in (120, 90, 80, 70, 60)}
    message = mistake(check_fits, need(200.0, 0.0), 100.0, "params.yaml: train", offers)
    assert message.endswith(
        "Set `setting: 90` (90 bytes); or `setting: 80` (80 bytes); or `setting: 70` (70 bytes). "
        "See docs/large-models.md."
    )
    assert describe(need(90.0, 10.0)) == (
        "100 bytes (weights 90 bytes + optimiser 0 bytes + gradients 0 bytes + "
        "activations 10 bytes)"
    )


def test_the_parts_of_a_need_add_up_where_gradients_and_activations_take_turns():
    assert describe(Memory(10.0, 20.0, 40.0, 5.0, accumulates=False)) == (
        "70 bytes (weights 10 bytes + optimiser 40 bytes + gradients 20 bytes; "
        "activations, 5 bytes, come at another time)"
    )
    assert describe(Memory(10.0, 5.0, 40.0, 20.0, accumulates=False)) == (
        "70 bytes (weights 10 bytes + optimiser 40 bytes + activations 20 bytes; "
        "gradients, 5 bytes, come at another time)"
    )


def test_only_settings_that_may_be_changed_are_offered():
    shape = read_architecture(MODEL)
    found = alternatives(shape, Recipe(), 64, TRAIN_SETTINGS, "float32", CPU)
    assert list(found)[:2] == ["`gradient_checkpointing: true`", "`weights: bfloat16`"]
    assert any("nf4" in change for change in found)
    own = ("gradient_checkpointing",)
    assert list(alternatives(shape, Recipe(), 64, own, "float32", CPU)) == [
        "`gradient_checkpointing: true`"
    ]
    lora = Recipe(method="lora", gradient_checkpointing=True)
    found = alternatives(shape, lora, 64, TRAIN_SETTINGS, "float32", CPU)
    assert list(found) == ["`weights: bfloat16`", "`weights: nf4`"]


def test_shards_are_offered_where_there_are_several_gpus():
    shape = read_architecture(MODEL)
    gpus = Machine(None, True, 2)
    found = alternatives(shape, Recipe(), 64, TRAIN_SETTINGS, "float32", gpus)
    assert "`sharding: full`" in found
    assert not any("sharding" in change and "nf4" in change for change in found)
    for refused in (Recipe(optimizer="adamw_8bit"), Recipe(packed=True, micro_batch_size=2)):
        found = alternatives(shape, refused, 64, TRAIN_SETTINGS, "float32", gpus)
        assert not any("sharding" in change for change in found)
    for place in (Machine(None, True, 1), Machine(None, False, 2)):
        found = alternatives(shape, Recipe(), 64, TRAIN_SETTINGS, "float32", place)
        assert not any("sharding" in change for change in found)


def test_what_is_offered_is_not_refused_afterwards():
    shape = read_architecture(MODEL)
    in_float32 = Recipe(dtype="float32")
    offers = alternatives(shape, in_float32, 64, TRAIN_SETTINGS, "float32", CPU)
    assert "`weights: bfloat16`, `dtype: auto`" in offers
    moments = Recipe(weights="bfloat16", optimizer="adamw_float32")
    offers = alternatives(shape, moments, 64, TRAIN_SETTINGS, "bfloat16", CPU)
    assert "`method: lora`, `gradient_checkpointing: true`, `optimizer: adamw`" in offers
    for recipe in (in_float32, moments, Recipe()):
        for offer in alternatives(shape, recipe, 64, TRAIN_SETTINGS, "bfloat16", CPU):
            changes = yaml.safe_load("{" + offer.replace("`", "") + "}")
            check_types(replace(recipe, **changes), "train")


def test_processes_without_a_gpu_share_the_machine():
    assert Machine(8.0, False, 2).share == 4.0
    assert Machine(8.0, True, 2).share == 8.0
    assert Machine(None, False, 2).share is None


@pytest.fixture
def file(in_scratch):
    turns = [{"role": "user", "content": "Say."}, {"role": "assistant", "content": "word"}]
    path = in_scratch / "train.jsonl"
    path.write_text(json.dumps({"messages": turns}) + "\n")
    return path


def test_training_that_cannot_fit_ends_before_the_model_is_loaded(file, monkeypatch):
    monkeypatch.setattr(machine_memory, "device_memory", lambda: 1e6)
    monkeypatch.setattr(stage, "fit_distributed", lambda *_, **__: pytest.fail("loaded"))
    out = file.parent / "model"
    section = TrainSection(MODEL, Recipe(), "")
    message = mistake(train, section, file, out, file.parent / "curve")
    assert message.startswith("train: expected a run that fits into 1.0 MB; found one that takes")
    assert not out.exists()
    assert not list(file.parent.glob(".scratch/train/*/tokens/*"))


def test_types_that_do_not_go_together_end_the_stage_too(file):
    section = TrainSection(MODEL, replace(Recipe(), weights="nf4"), "")
    message = mistake(train, section, file, file.parent / "model", file.parent / "curve")
    assert "train.weights: nf4: expected `method: lora`" in message
