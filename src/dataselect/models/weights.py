"""Checks a loaded model's weights: none is random, none of another shape, all are finite."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.data import files
from dataselect.errors import InputError, first_few
from dataselect.models.config import read_header, safetensors_files
from dataselect.models.device_map import weights_of

if TYPE_CHECKING:
    import torch

#: Weights that no feature uses: a sentence's vector by the model's own pooling.
UNUSED = "pooler."


def check_loaded(info: Mapping[str, Any], name: str) -> None:
    """Checks that every weight came from the model's files.

    Args:
        info: what transformers found while loading (`output_loading_info`).
        name: the model's.

    Raises:
        InputError: a weight is missing, or has another shape than config.json says.
    """
    if wrong := sorted(info["mismatched_keys"]):
        key, found, expected = wrong[0]
        more = f" and {len(wrong) - 1} more" if wrong[1:] else ""
        raise InputError(
            f"{_file_of(name, key)}: `{key}`{more}: expected the shape {tuple(expected)}, as "
            f"config.json says; found {tuple(found)}. Use the config.json that belongs to the "
            "weights."
        )
    _refuse_missing((key for key in info["missing_keys"] if UNUSED not in key), name)


def check_stored(weights: Iterable[str], name: str) -> None:
    """Checks that the files of a model in a folder have the weights that a loaded one has.

    For loaders that do not say what they found. Files may name weights otherwise than the model;
    so a weight counts as missing only where the same weight of another layer is there.

    Args:
        weights: the names of the loaded model's weights.
        name: the model's.

    Raises:
        InputError: a weight is missing.
    """
    folder = Path(files.resolve(name))
    paths = safetensors_files(folder) if folder.is_dir() else []
    stored = {key for path in paths for key in read_header(path)}
    # As transformers does with the names of old checkpoints.
    stored = {key.replace(".gamma", ".weight").replace(".beta", ".bias") for key in stored}
    endings = {end for key in stored for end in _endings(key)}
    keys = [key for key in weights if UNUSED not in key]
    missing = {key for key in keys if key not in endings and not stored & _endings(key)}
    found = {_any_layer(key) for key in keys if key not in missing}
    _refuse_missing((key for key in missing if _any_layer(key) in found), name)


def _endings(key: str) -> set[str]:
    parts = key.split(".")
    return {".".join(parts[start:]) for start in range(len(parts))}


def _any_layer(key: str) -> str:
    """A weight's name with all its numbers alike."""
    return re.sub(r"\d+", "0", key)


def _refuse_missing(keys: Iterable[str], name: str) -> None:
    if missing := sorted(keys):
        raise InputError(
            f"{_file_of(name, '')}: no weights for {first_few(missing)}, which the model that "
            "config.json names has; they would be random. Copy the model again, or use the "
            "config.json that belongs to the weights."
        )


def check_finite(net: torch.nn.Module, name: str) -> None:
    """Checks that no weight is NaN or infinite.

    Args:
        name: the model's.

    Raises:
        InputError: one is.
    """
    if key := non_finite_weight(net):
        dtype = str(net.get_parameter(key).dtype).removeprefix("torch.")
        raise InputError(
            f"{_file_of(name, key)}: `{key}`: expected finite weights; found NaN or infinite "
            f"ones (read as {dtype}). Set `dtype: float32` if the model overflows in 16 bits; copy "
            "it again; or, if training made it, train with a lower learning rate."
        )


def non_finite_weight(net: torch.nn.Module) -> str | None:
    """The name of the first weight that has a NaN or infinite number; None where all are finite."""
    return next((key for key, weight in weights_of(net) if not is_finite(weight)), None)


def is_finite(weight: torch.Tensor) -> bool:
    """Whether no number of a weight is NaN or infinite; types of under 16 bits are not checked.

    Of a sharded weight, this process's part.
    """
    import torch

    weight = getattr(weight, "to_local", lambda: weight)()
    if not weight.is_floating_point() or weight.itemsize < 2 or not weight.numel():
        return True
    lowest, highest = torch.aminmax(weight.detach())  # one pass, and no copy; NaN if any is
    return bool(torch.isfinite(lowest) and torch.isfinite(highest))


def _file_of(name: str, key: str) -> str:
    """The file that holds a weight; the model's folder or name where none is known to."""
    folder = Path(files.resolve(name))
    paths = safetensors_files(folder) if folder.is_dir() else []
    for path in paths:
        if any(f".{tensor}".endswith(f".{key}") for tensor in read_header(path)) and key:
            return str(path)
    return str(paths[0] if len(paths) == 1 else folder if folder.is_dir() else name)
