"""What a model's files say without its weights being read: config.json, headers of safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dataselect.data import files
from dataselect.errors import InputError
from dataselect.models.settings import TokenizerSettings


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


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    Raises:
        InputError: it holds something else, or is not JSON.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}. {COPY_AGAIN}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object; found {content!r:.40}. {COPY_AGAIN}")
    return content


COPY_AGAIN = "Copy or save the model again."
