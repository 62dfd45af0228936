"""The model that a recipe trains: its weights in their type, its adapters; merged at the end."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.compute import distributed
from dataselect.errors import InputError, install_extra
from dataselect.train.adapters import add_adapters
from dataselect.train.packing import check_packed, check_rows_apart
from dataselect.train.sharding import check_sharding

if TYPE_CHECKING:
    from dataselect.models.settings import ModelSettings
    from dataselect.train.fit import Recipe


def load_trainable(model: ModelSettings, recipe: Recipe) -> Any:
    """The model ready to be fitted, or this process's part of it, on this process's device.

    Raises:
        InputError: it cannot be loaded; the device does not compute in bfloat16; bitsandbytes is
            needed and not installed; the model has not all of `lora_modules`; or rows are to be
            packed and it does not keep them apart.
    """
    from dataselect.models.load import load_causal
    from dataselect.models.quantized import load_bitsandbytes

    check_precision(recipe)
    if recipe.optimizer == "adamw_8bit":
        load_bitsandbytes("optimizer: adamw_8bit")
    shards = None
    if recipe.sharding == "full":
        from dataselect.models.sharded import shard_options

        processes = distributed.world_size()
        shards = shard_options(model, processes, computes_in_bfloat16(recipe))
    net = load_causal(model, recipe.weights, shards=shards)
    if recipe.packed:
        check_rows_apart(net, recipe)
    return add_adapters(net, recipe)


def computes_in_bfloat16(recipe: Recipe) -> bool:
    """Whether a recipe computes under autocast to bfloat16 on this machine."""
    import torch

    from dataselect.models.precision import multiplies_bfloat16

    return uses_bfloat16(recipe, torch.cuda.is_available() and multiplies_bfloat16())


def uses_bfloat16(recipe: Recipe, on_gpu: bool) -> bool:
    """Whether a recipe computes under autocast to bfloat16.

    Args:
        on_gpu: whether it runs on a GPU that multiplies in bfloat16.
    """
    if recipe.dtype == "auto" and recipe.weights == "float32":
        return on_gpu
    return recipe.dtype == "bfloat16" or recipe.weights != "float32"


def check_types(recipe: Recipe, where: str) -> None:
    """Checks that the types of a recipe go together, and `packed` with its micro-batches.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: `weights: nf4` without LoRA; `dtype: float32` with other weights; an optimiser
            in float32 whose moments are in float32 anyway; nothing to pack; or what is sharded
            cannot be.
    """
    check_packed(recipe, where)
    check_sharding(recipe, where)
    if recipe.weights == "nf4" and recipe.method != "lora":
        raise InputError(
            f"{where}.weights: nf4: expected `method: lora`, as 4 bits cannot be trained; found "
            f"`method: {recipe.method}`. Set one of the two."
        )
    if recipe.weights != "float32" and recipe.dtype == "float32":
        raise InputError(
            f"{where}.dtype: float32: has no effect with `weights: {recipe.weights}`, which are "
            f"computed with in bfloat16. Remove `{where.rpartition(' ')[2]}.dtype`."
        )
    if recipe.optimizer == "adamw_float32" and (recipe.method, recipe.weights) != (
        "full",
        "bfloat16",
    ):
        raise InputError(
            f"{where}.optimizer: adamw_float32: has an effect only with `method: full` and "
            "`weights: bfloat16`: what is trained is in float32, and its moments are. Remove it."
        )


def check_installed(recipe: Recipe, where: str) -> None:
    """Checks that bitsandbytes is there where a recipe needs it; it is not imported.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: it is not installed.
    """
    needing = (("weights", "nf4", "bfloat16"), ("optimizer", "adamw_8bit", "adamw"))
    for name, value, other in needing:
        if getattr(recipe, name) == value and importlib.util.find_spec("bitsandbytes") is None:
            raise InputError(
                f"{where}.{name}: {value}: `bitsandbytes` is not installed. Install it: "
                f"{install_extra('bitsandbytes')}; or set `{name}: {other}`."
            )


def check_precision(recipe: Recipe) -> None:
    """Checks that the device computes in the type that a recipe names.

    Raises:
        InputError: it is bfloat16, which this GPU only emulates.
    """
    from dataselect.models.precision import multiplies_bfloat16

    if computes_in_bfloat16(recipe) and not multiplies_bfloat16():
        import torch

        name = "dtype" if recipe.dtype == "bfloat16" else "weights"
        raise InputError(
            f"{name}: {getattr(recipe, name)}: this GPU ({torch.cuda.get_device_name()}) does not "
            "compute in bfloat16. Set `dtype: float32` and `weights: float32`."
        )


def merged(net: Any, model: ModelSettings, recipe: Recipe, adapter: Path) -> Any:
    """The model with its adapters merged into its weights.

    Weights of 4 bits would have to be rounded again, and of a sharded model this process has a
    part: there the adapters are merged into the model's own weights, read anew into the machine's
    memory (in bfloat16 instead of 4 bits).

    Args:
        net: the model that was fitted.
        adapter: the folder of its saved adapters.
    """
    if recipe.weights != "nf4" and recipe.sharding == "none":
        return net.merge_and_unload()
    from peft import PeftModel

    from dataselect.models.load import load_causal

    kind = "bfloat16" if recipe.weights == "nf4" else recipe.weights
    base = load_causal(model, kind, place="cpu")
    return PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()
