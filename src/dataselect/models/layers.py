"""The linear layers that LoRA's adapters can be put on, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from dataselect.errors import InputError
from dataselect.models.config import read_header, safetensors_files

#: The last part of the names of layers that look up tokens or positions.
LOOK_UP = re.compile(r"embed(?!_out)|^w[tp]e$|^shared$|relative_attention_bias")


def stored_layers(folder: Path) -> set[str]:
    """The modules whose weights are a matrix, by name, from the headers of safetensors files.

    Empty where a folder has none.

    Raises:
        InputError: a file of weights is not whole.
    """
    shapes = {k: v for path in safetensors_files(folder) for k, v in read_header(path).items()}
    return {name.removesuffix(".weight") for name, shape in shapes.items() if len(shape) == 2}


def check_lora_modules(wanted: list[str] | str, layers: Iterable[str], where: str) -> None:
    """Checks that every name of `lora_modules` is a layer's, or the end of one as in peft.

    Args:
        wanted: names; or `all-linear`, which is always right.
        layers: the names of a model's layers.
        where: the place in the user's file, for the message.

    Raises:
        InputError: no layer has one of the names.
    """
    layers = sorted(layers)
    if isinstance(wanted, str):
        return
    if wrong := [name for name in wanted if not any(_ends_with(layer, name) for layer in layers)]:
        last = sorted({layer.rsplit(".", 1)[-1] for layer in layers})
        linear = ", ".join(name for name in last if not LOOK_UP.search(name))
        raise InputError(
            f"{where}: the model has no layer called {', '.join(wrong)}. Name some of its linear "
            f"layers, {linear}; or set `all-linear`."
        )


def _ends_with(layer: str, name: str) -> bool:
    return f".{layer}".endswith(f".{name}")
