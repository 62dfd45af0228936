"""Settings of other trainers that train as the run does: TRL, Axolotl, LLaMA-Factory.

Source: huggingface/trl@f2cd577 (`docs/source/clis.md`), axolotl-ai-cloud/axolotl@067b021
(`docs/dataset-formats/conversation.qmd`, `utils/schemas/`), hiyouga/LLaMA-Factory@ff6d4d1
(`data/README.md`, `examples/train_full/`).
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from dataselect.export.finished import FinishedRun, shown_path
from dataselect.models.formats import TEMPLATES
from dataselect.train.run import TrainSection

TEMPLATE_FILE = "chat_template.jinja"

#: The data set's name in LLaMA-Factory.
NAME = "dataselect"


def trainer_files(run: FinishedRun) -> dict[str, str]:
    """The files of the three trainers: name → text. They name `train.jsonl`, beside them."""
    training = run.training
    texts = {
        "trl_sft.yaml": _text(training, "trl sft --config trl_sft.yaml", _trl(run)),
        "axolotl.yaml": _text(training, "axolotl train axolotl.yaml", _axolotl(training)),
    }
    if not run.has_tools:  # its form of calls is another one
        note = () if training.model.chat == "model" else (TEMPLATE_NOTE,)
        command = "llamafactory-cli train llamafactory.yaml"
        texts["llamafactory.yaml"] = _text(training, command, _llama_factory(training), *note)
        texts["dataset_info.json"] = json.dumps({NAME: DATASET_INFO}, indent=2) + "\n"
    if training.model.chat != "model":
        texts[TEMPLATE_FILE] = TEMPLATES[training.model.chat]
    return texts


#: LLaMA-Factory's description of a file in OpenAI's form.
DATASET_INFO = {
    "file_name": "train.jsonl",
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}

TEMPLATE_NOTE = (
    "LLaMA-Factory has no template of this name: `template` is left out, and it reads that of the "
    f"model's tokenizer. Copy {TEMPLATE_FILE} into the model's folder first."
)


def _text(training: TrainSection, command: str, settings: dict[str, Any], *notes: str) -> str:
    """The settings as YAML; above them how they are used, and what is to be checked."""
    model, recipe = training.model, training.recipe
    lines = [f"{command}   (in this folder, on one device)", *notes]
    if model.md5 is not None:
        lines.append(
            f"The model was a folder of the run's project ({_name(training)}): set its path."
        )
    if recipe.loss_per == "micro_batch":
        lines.append("The run averaged losses by micro-batch; this averages them by token.")
    if recipe.optimizer == "adamw_float32" or recipe.weights == "bfloat16":
        lines.append("The run's types of weights and moments have no form here: see docs of both.")
    head = "".join(f"# {line}\n" for line in lines)
    return head + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)


def _name(training: TrainSection) -> str:
    return shown_path(training.model.name)


def _shared(training: TrainSection) -> dict[str, Any]:
    """What transformers' own names are for, in TRL and LLaMA-Factory."""
    recipe = training.recipe
    length = {"max_steps": recipe.steps} if recipe.steps else {"num_train_epochs": recipe.epochs}
    return {
        "per_device_train_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": recipe.batch_size // recipe.micro_batch_size,
        **length,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optim": "adamw_8bit" if recipe.optimizer == "adamw_8bit" else "adamw_torch_fused",
        "save_steps": recipe.save_steps,
        "seed": recipe.seed,
        **({} if recipe.dtype == "auto" else {"bf16": recipe.dtype == "bfloat16"}),
        "report_to": "none",
        "output_dir": "model",
    }


def _trl(run: FinishedRun) -> dict[str, Any]:
    training = run.training
    model, recipe = training.model, training.recipe
    columns = ["messages", *(["tools"] if run.has_tools else [])]
    rows = {"path": "json", "data_files": "train.jsonl", "split": "train", "columns": columns}
    settings: dict[str, Any] = {"model_name_or_path": _name(training)}
    if model.revision:
        settings["model_revision"] = model.revision
    settings |= {"trust_remote_code": model.trust_remote_code, "datasets": [rows]}
    settings |= {"assistant_only_loss": True, "max_length": model.max_tokens, "packing": False}
    if model.chat != "model":
        settings["chat_template_path"] = TEMPLATE_FILE
    settings |= _shared(training)
    settings["warmup_steps"] = recipe.warmup  # below 1, transformers takes it for a share
    settings["gradient_checkpointing"] = recipe.gradient_checkpointing
    if recipe.group_by_length:
        settings["train_sampling_strategy"] = "group_by_length"
    if recipe.method == "lora":
        settings |= {"use_peft": True, "lora_r": recipe.lora_rank, "lora_alpha": recipe.lora_alpha}
        settings |= {"lora_dropout": recipe.lora_dropout}
        settings["lora_target_modules"] = recipe.lora_modules
    if recipe.weights == "nf4":
        settings |= {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    return settings


def _axolotl(training: TrainSection) -> dict[str, Any]:
    model, recipe = training.model, training.recipe
    template = {"chat_template": "tokenizer_default"}
    if model.chat != "model":
        template = {"chat_template": "jinja", "chat_template_jinja": TEMPLATE_FILE}
    rows = {"path": "train.jsonl", "ds_type": "json", "type": "chat_template", **template}
    rows |= {"field_messages": "messages", "train_on_eos": "turn"}
    settings: dict[str, Any] = {"base_model": _name(training)}
    if model.revision:
        settings["revision_of_model"] = model.revision
    settings |= {"trust_remote_code": model.trust_remote_code, **template}
    settings["datasets"] = [{**rows, "roles_to_train": ["assistant"]}]
    settings |= {
        "sequence_len": model.max_tokens,
        "excess_length_strategy": "truncate",
        "sample_packing": False,
        "val_set_size": 0.0,
        "micro_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": recipe.batch_size // recipe.micro_batch_size,
        **({"max_steps": recipe.steps} if recipe.steps else {"num_epochs": recipe.epochs}),
        "learning_rate": recipe.learning_rate,
        "lr_scheduler": recipe.schedule,
        "warmup_ratio": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "optimizer": "adamw_8bit" if recipe.optimizer == "adamw_8bit" else "adamw_torch_fused",
        "group_by_length": recipe.group_by_length,
        "bf16": "auto" if recipe.dtype == "auto" else recipe.dtype == "bfloat16",
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "save_steps": recipe.save_steps,
        "seed": recipe.seed,
        "output_dir": "model",
    }
    if recipe.method == "lora":
        settings["adapter"] = "qlora" if recipe.weights == "nf4" else "lora"
        settings |= {"load_in_4bit": True} if recipe.weights == "nf4" else {}
        settings |= {"lora_r": recipe.lora_rank, "lora_alpha": recipe.lora_alpha}
        settings["lora_dropout"] = recipe.lora_dropout
        every = recipe.lora_modules == "all-linear"
        settings |= (
            {"lora_target_linear": True} if every else {"lora_target_modules": recipe.lora_modules}
        )
    return settings


def _llama_factory(training: TrainSection) -> dict[str, Any]:
    model, recipe = training.model, training.recipe
    settings: dict[str, Any] = {"model_name_or_path": _name(training)}
    if model.revision:
        settings["model_revision"] = model.revision
    settings |= {"trust_remote_code": model.trust_remote_code, "stage": "sft", "do_train": True}
    settings |= {"finetuning_type": recipe.method, "dataset": NAME, "dataset_dir": "."}
    settings |= {"cutoff_len": model.max_tokens, "packing": False, **_shared(training)}
    settings["warmup_ratio"] = recipe.warmup
    settings["disable_gradient_checkpointing"] = not recipe.gradient_checkpointing
    if recipe.method == "lora":
        modules = recipe.lora_modules
        settings |= {"lora_rank": recipe.lora_rank, "lora_alpha": recipe.lora_alpha}
        settings["lora_dropout"] = recipe.lora_dropout
        settings["lora_target"] = "all" if modules == "all-linear" else ",".join(modules)
    if recipe.weights == "nf4":
        settings |= {"quantization_bit": 4, "quantization_type": "nf4"}
    return settings
