"""LoRA: adapters on the frozen weights of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.errors import InputError
from dataselect.models.layers import check_lora_modules
from dataselect.numerics.draws import derived_seed

if TYPE_CHECKING:
    from dataselect.models.settings import TokenizerSettings
    from dataselect.train.fit import Recipe

#: Types of layers that LoRA can be put on.
LAYERS = ("Linear", "Conv1D", "Embedding")


def add_adapters(net: Any, recipe: Recipe) -> Any:
    """The model ready to be fitted: itself, or with new LoRA adapters on frozen weights.

    The adapters' first weights are drawn from the recipe's seed.

    Raises:
        InputError: the model has not all of `lora_modules`.
    """
    net.config.use_cache = False
    if recipe.method == "full":
        return net
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    set_seed(derived_seed(recipe.seed, "LoRA's first weights"))
    config = LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules=recipe.lora_modules,
        task_type="CAUSAL_LM",
    )
    if recipe.gradient_checkpointing:
        net.enable_input_require_grads()
    layers = (name for name, m in net.named_modules() if type(m).__name__ in LAYERS)
    where = "lora_modules (of the method in methods.yaml, or of train)"
    check_lora_modules(recipe.lora_modules, layers, where)
    try:
        return get_peft_model(net, config)
    except ValueError as error:  # a name that fits a layer of another kind too
        raise InputError(f"{where}: {str(error).splitlines()[0]} Name other layers.") from None


def save_adapter(net: Any, folder: Path, base: TokenizerSettings | None = None) -> None:
    """Saves a model's adapters for `peft.PeftModel.from_pretrained`: the same ones, the same bytes.

    Args:
        net: a model with adapters, not merged.
        folder: gets `adapter_model.safetensors` and `adapter_config.json`.
        base: the model that the adapters belong to; the configuration names it as the user did.
    """
    # Theirs alone: of a sharded model, peft would gather every weight.
    state = {name: weight for name, weight in net.named_parameters() if "lora_" in name}
    # No layer is resized, so no embedding is saved.
    net.save_pretrained(folder, save_embedding_layers=False, state_dict=state)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    # peft names the folder of this machine that the weights came from.
    config["base_model_name_or_path"] = base and base.name
    config["revision"] = base and base.revision
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # a set, in no fixed order
    path.write_text(json.dumps(config, indent=2, sort_keys=True))


def trainable_parameters(net: Any) -> int:
    """The number of parameters that training changes."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)
