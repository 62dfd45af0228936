"""What a model's files say without weights being read, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataselect.data import files
from dataselect.errors import InputError, first_few
from dataselect.models.settings import TokenizerSettings

COPY_AGAIN = "Copy or save the model again."

#: Files of a model that must be JSON objects where they are there.
JSON_FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
JSON_FILES += ("special_tokens_map.json", "model.safetensors.index.json")

#: Above every size in a model's configuration: what is larger is a mistake.
LARGEST_SIZE = 2**31
MOST_LAYERS = 10_000

#: What configurations call sizes that no model has none of, and layers.
LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
SIZES = ("hidden_size", "n_embd", "d_model", "num_attention_heads", "n_head", "num_heads")
SIZES += ("vocab_size", *LAYERS)

#: Patterns of the files that hold a tokenizer's vocabulary.
VOCABULARIES = ("tokenizer.json", "*.model", "vocab*", "*.tiktoken", "tekken.json", "tokenizer.pkl")

#: The files that transformers looks for weights in.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
WEIGHTS += ("pytorch_model.bin", "pytorch_model.bin.index.json")


def read_config(model: TokenizerSettings) -> dict[str, Any] | None:
    """The content of config.json of a model in a folder or in the hub's cache; None elsewhere.

    What a model of several kinds says of its text part is at the top, too.

    Raises:
        InputError: it is not a JSON object.
    """
    path = Path(files.resolve(model.name)) / "config.json"
    if not path.is_file():
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(model.name, "config.json", revision=model.revision)
        if not isinstance(cached, str):
            return None
        path = Path(cached)
    config = read_object(path)
    text = config.get("text_config")
    return config | (text if isinstance(text, dict) else {})


def size_of(config: dict[str, Any], *names: str) -> int | None:
    """The first of these sizes that a configuration has; None where none is a number above 0.

    Args:
        names: what configurations call the size.
    """
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST_SIZE:
            return value
    return None


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    Raises:
        InputError: it cannot be read, is not JSON, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. {COPY_AGAIN}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}. {COPY_AGAIN}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object; found {content!r:.40}. {COPY_AGAIN}")
    return content


def check_files(folder: Path, *, weights: bool = True, own_code: bool = False) -> None:
    """Checks the files of a model in a folder, as far as they tell without weights being read.

    A sentence model, whose files may lie in folders of its modules, need not have its weights and
    its tokenizer here.

    Args:
        weights: whether there must be weights.
        own_code: whether the model comes with code, which may read other files than these.

    Raises:
        InputError: a file is missing, not whole, or not JSON.
    """
    for name in JSON_FILES:
        if (folder / name).is_file():
            read_object(folder / name)
    config = read_object(folder / "config.json")
    if not isinstance(config.get("model_type"), str) and "auto_map" not in config:
        found = first_few(config) or "nothing"
        raise InputError(
            f"{folder / 'config.json'}: expected `model_type`; found {found}. {COPY_AGAIN}"
        )
    if not own_code:
        _check_sizes(config, folder / "config.json")
    for path in safetensors_files(folder):
        read_header(path)
    if own_code or (folder / "modules.json").is_file():
        return
    if not any(path.is_file() for pattern in VOCABULARIES for path in folder.glob(pattern)):
        raise InputError(
            f"{folder}: no tokenizer: expected tokenizer.json (or tokenizer.model, vocab.json …). "
            "Copy the tokenizer's files into the folder too."
        )
    if weights and not any((folder / name).is_file() for name in WEIGHTS):
        raise InputError(
            f"{folder}: no weights: expected model.safetensors, or its parts with "
            "model.safetensors.index.json. Copy them into the folder too."
        )


def _check_sizes(config: dict[str, Any], path: Path) -> None:
    """Checks the sizes at the top of a configuration: libraries build what they say, or hang."""
    for name in SIZES:
        value, limit = config.get(name), MOST_LAYERS if name in LAYERS else LARGEST_SIZE
        size = size_of(config, name)
        if value is not None and (size is None or size > limit):
            raise InputError(
                f"{path}: {name}: expected a whole number from 1 to {limit:,}; found "
                f"{value!r:.40}. {COPY_AGAIN}"
            )


def safetensors_files(folder: Path) -> list[Path]:
    """The files that transformers reads a model's weights from; none where they are of other kinds.

    Raises:
        InputError: the index is not one, or names a file that is not there.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        return []
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise InputError(f"{index}: expected `weight_map`, tensor → file. {COPY_AGAIN}")
    paths = [folder / name for name in sorted(set(places.values()))]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise InputError(
            f"{index}: expected {len(paths)} files beside it; missing: {first_few(missing)}. "
            "Copy them into the folder too."
        )
    return paths


def _whole_numbers(shape: Any) -> list[int]:
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"a shape that is none: {shape!r:.40}")
    return shape


def read_header(path: Path) -> dict[str, list[int]]:
    """The tensors of a safetensors file: name → shape. No tensor is read.

    Raises:
        InputError: the file is not whole, or not a safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= size - 8 else b""
    if not header:
        raise InputError(
            f"{path}: not a whole safetensors file: expected a header of {length:,} bytes; found "
            f"a file of {size:,} bytes. {COPY_AGAIN}"
        )
    try:
        entries: dict[str, Any] = json.loads(header)
        entries.pop("__metadata__", None)
        shapes = {name: _whole_numbers(entry["shape"]) for name, entry in entries.items()}
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
        expected = 8 + length + int(end)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: not safetensors: its header cannot be read: {reason:.80}. {COPY_AGAIN}"
        ) from None
    if size != expected:
        raise InputError(
            f"{path}: not a whole safetensors file: expected {expected:,} bytes; found {size:,}. "
            f"{COPY_AGAIN}"
        )
    return shapes
