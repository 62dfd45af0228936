"""Adapters of LoRA in a folder: whether they belong to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dataselect.errors import InputError
from dataselect.models.config import read_header

#: How the halves of an adapter are called: of a matrix, and of an embedding.
HALVES = (".lora_A.", ".lora_B.", ".lora_embedding_A", ".lora_embedding_B")


def check_adapters(net: Any, folder: Path, model: str) -> None:
    """Checks that a folder's adapters fit a model's layers: their names, and their sizes.

    Args:
        net: the model without adapters.
        folder: with `adapter_model.safetensors`.
        model: the model's name, for the message.

    Raises:
        InputError: a layer is not there, or has another size: they are those of another model.
    """
    modules = dict(net.named_modules())
    for key, shape in read_header(folder / "adapter_model.safetensors").items():
        half = next((half for half in HALVES if half in key), None)
        if half is None:
            continue
        name = key.split(half)[0].removeprefix("base_model.model.")
        size = shape[-1] if half in (".lora_A.", ".lora_embedding_A") else shape[0]
        if name not in modules:
            found = f"no layer `{name}`"
        elif size not in _sizes(modules[name]):
            found = f"`{name}` with {' × '.join(map(str, _sizes(modules[name])))} numbers"
        else:
            continue
        raise InputError(
            f"{folder}: adapters of another model: expected that of `{name}`, which has {size} "
            f"numbers on one side; `{model}` has {found}. Name the model that they were trained "
            "on, or train them again."
        )


def _sizes(module: Any) -> tuple[int, ...]:
    """The two sizes of a matrix; of one in 4 bits, which is stored flat, too."""
    if hasattr(module, "in_features"):
        return (module.out_features, module.in_features)
    weight = getattr(module, "weight", None)
    return () if weight is None else tuple(weight.shape)
