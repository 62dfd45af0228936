"""Settings of other trainers: the run's own, under their names."""

import json
from dataclasses import replace

import polars as pl
import pytest
import yaml

from dataselect.data.tool_use import to_column
from dataselect.export.finished import read_run
from dataselect.export.trainers import trainer_files
from dataselect.models.formats import TULU_TEMPLATE
from tests.tool_rows import WEATHER

TRAIN = {"learning_rate": 1e-4, "batch_size": 32, "micro_batch_size": 4, "warmup": 0.1}
TRAIN |= {"schedule": "cosine", "seed": 5, "dtype": "bfloat16"}


@pytest.fixture
def run(finished):
    return read_run(finished)


def files_of(run, model=None, **recipe):
    """The files, with other settings of the training or its model."""
    train = run.plan["train"]
    train = {**train, "model": train["model"] | (model or {}), "recipe": train["recipe"] | recipe}
    return trainer_files(replace(run, plan={**run.plan, "train": train}))


def settings_of(texts):
    return [
        yaml.safe_load(texts[f"{name}.yaml"]) for name in ("trl_sft", "axolotl", "llamafactory")
    ]


def test_the_recipe_is_carried_over_to_all_three(run):
    texts = files_of(run, **TRAIN)
    for settings in settings_of(texts):
        assert settings["gradient_accumulation_steps"] == 8
        assert settings["learning_rate"] == 1e-4
        assert (settings["seed"], settings["bf16"]) == (5, True)
    trl, axolotl, llama = settings_of(texts)
    for settings in (trl, llama):
        assert (settings["num_train_epochs"], settings["lr_scheduler_type"]) == (2, "cosine")
        assert settings["per_device_train_batch_size"] == 4
    assert (axolotl["num_epochs"], axolotl["lr_scheduler"]) == (2, "cosine")
    assert (trl["warmup_steps"], axolotl["warmup_ratio"], llama["warmup_ratio"]) == (0.1, 0.1, 0.1)
    assert (trl["max_length"], axolotl["sequence_len"], llama["cutoff_len"]) == (2048, 2048, 2048)
    assert trl["datasets"][0]["data_files"] == axolotl["datasets"][0]["path"] == "train.jsonl"
    assert texts["chat_template.jinja"] == TULU_TEMPLATE
    assert json.loads(texts["dataset_info.json"])[llama["dataset"]]["file_name"] == "train.jsonl"


def test_a_models_folder_is_named_without_its_place(run):
    for settings, key in zip(
        settings_of(files_of(run)),
        ("model_name_or_path", "base_model", "model_name_or_path"),
        strict=True,
    ):
        assert settings[key] == "tiny-llama"
    assert "(tiny-llama): set its path." in files_of(run)["trl_sft.yaml"]


def test_steps_and_lora_have_their_names(run):
    texts = files_of(run, method="lora", lora_rank=8, lora_alpha=16, steps=20)
    trl, axolotl, llama = settings_of(texts)
    for settings in (trl, axolotl, llama):
        assert settings["max_steps"] == 20
        assert not {"num_train_epochs", "num_epochs"} & set(settings)
        assert settings["lora_alpha"] == 16
    assert (trl["use_peft"], trl["lora_r"], trl["lora_target_modules"]) == (True, 8, "all-linear")
    assert (axolotl["adapter"], axolotl["lora_r"], axolotl["lora_target_linear"]) == (
        *("lora", 8, True),
    )
    assert (llama["finetuning_type"], llama["lora_rank"], llama["lora_target"]) == (
        *("lora", 8, "all"),
    )


def test_named_layers_and_four_bits_have_their_names(run):
    recipe = {"method": "lora", "lora_modules": ["q_proj", "v_proj"], "weights": "nf4"}
    recipe |= {"optimizer": "adamw_8bit", "loss_per": "micro_batch", "group_by_length": True}
    texts = files_of(run, **recipe)
    trl, axolotl, llama = settings_of(texts)
    assert (trl["load_in_4bit"], axolotl["adapter"], llama["quantization_bit"]) == (
        *(True, "qlora", 4),
    )
    assert trl["lora_target_modules"] == axolotl["lora_target_modules"] == ["q_proj", "v_proj"]
    assert llama["lora_target"] == "q_proj,v_proj"
    assert trl["optim"] == axolotl["optimizer"] == llama["optim"] == "adamw_8bit"
    assert trl["train_sampling_strategy"] == "group_by_length"
    assert axolotl["group_by_length"]
    assert "The run averaged losses by micro-batch" in texts["axolotl.yaml"]


def test_a_models_own_template_needs_no_file(run):
    texts = files_of(run, {"chat": "model", "md5": None, "revision": "0a1b"})
    trl, axolotl, llama = settings_of(texts)
    assert "chat_template.jinja" not in texts
    assert axolotl["chat_template"] == "tokenizer_default"
    assert "chat_template_path" not in trl
    assert (
        trl["model_revision"] == axolotl["revision_of_model"] == llama["model_revision"] == "0a1b"
    )
    assert "set its path" not in "".join(texts.values())


def test_rows_with_tools_have_no_form_for_llama_factory(run):
    texts = trainer_files(
        replace(run, rows=run.rows.with_columns(tool_use=pl.lit(to_column(WEATHER))))
    )
    assert not {"llamafactory.yaml", "dataset_info.json"} & set(texts)
    assert yaml.safe_load(texts["trl_sft.yaml"])["datasets"][0]["columns"] == ["messages", "tools"]
