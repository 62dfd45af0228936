"""The recipe: its defaults, its checks, and how many processes and rows share a step."""

from dataclasses import replace

import pytest

from dataselect.data import checksums
from dataselect.errors import InputError
from dataselect.models.load import load_causal
from dataselect.settings import check_settings
from dataselect.train.adapters import add_adapters
from dataselect.train.fit import (
    Recipe,
    _next_micro_batch,
    check_batch,
    process_count,
    reference_micro_batch,
)
from dataselect.train.trainer import last_complete_checkpoint
from tests.helpers import MODEL, mistake


def test_settings_are_checked_against_the_recipe():
    assert check_settings(Recipe, {}, "params.yaml: train") == vars(Recipe())
    for given, expected in {
        "epochs": (0, "greater than 0"),
        "batch_size": (0, "greater than or equal to 1"),
        "warmup": (1, "less than 1"),
        "schedule": ("constant", "linear"),
        "lora_modules": ("all", "all-linear"),
        "processes": ("all", "auto"),
    }.items():
        value, words = expected
        message = mistake(check_settings, Recipe, {given: value}, "params.yaml: train")
        assert f"params.yaml: train.{given}: expected" in message
        assert words in message


def test_a_batch_of_whole_micro_batches():
    check_batch(8, 4, "train")
    message = mistake(check_batch, 8, 3, "params.yaml: train")
    assert "params.yaml: train.batch_size: expected a multiple" in message
    assert "(3); found 8" in message


@pytest.mark.parametrize(
    ("batch_size", "micro_batch_size", "expected"), [(128, 8, 8), (8, 12, 4), (9, 2, 1)]
)
def test_a_references_micro_batch_divides_its_batch(batch_size, micro_batch_size, expected):
    assert reference_micro_batch(batch_size, micro_batch_size) == expected


def test_smaller_micro_batches_divide_the_batch():
    recipe = Recipe(batch_size=6, micro_batch_size=6)
    assert _next_micro_batch(recipe) == 3
    assert _next_micro_batch(replace(recipe, micro_batch_size=3)) == 1
    assert _next_micro_batch(Recipe(batch_size=10, micro_batch_size=10)) == 5
    with pytest.raises(InputError, match="out of memory while training on one row at a time"):
        _next_micro_batch(replace(recipe, micro_batch_size=1))


def test_processes_share_the_micro_batches_of_a_step():
    recipe = Recipe(batch_size=8, micro_batch_size=2, processes=3)
    assert process_count(recipe) == 2
    assert process_count(replace(recipe, micro_batch_size=8)) == 1
    assert process_count(replace(recipe, loss_per="micro_batch")) == 1


def test_lora_modules_that_the_model_has_not_are_named():
    recipe = Recipe(method="lora", lora_modules=["q_proj", "query_key_value"])
    message = mistake(add_adapters, load_causal(MODEL, "float32"), recipe)
    assert message == (
        "lora_modules (of the method in methods.yaml, or of train): the model has no layer called "
        "query_key_value. Name some of its linear layers, down_proj, gate_proj, k_proj, lm_head, "
        "o_proj, q_proj, up_proj, v_proj; or set `all-linear`."
    )


def test_a_checkpoint_that_was_not_written_to_its_end_is_removed(tmp_path):
    assert last_complete_checkpoint(tmp_path) is None
    for step in (9, 10, 11):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{}")
        if step < 11:
            checksums.seal(folder, folder)
    (tmp_path / "checkpoint-12").mkdir()
    assert last_complete_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-9"]
