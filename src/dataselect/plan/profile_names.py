"""The names of profiles, and the files that their parts are read from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataselect.data.files import resolve
from dataselect.errors import InputError
from dataselect.plan.params import read_yaml

#: Where profiles and their parts are.
FOLDER = Path("profiles")


def read_settings(file: Path) -> dict[str, Any]:
    """A YAML file of the project, also from one of its folders.

    Raises:
        InputError: as of `read_yaml`.
    """
    return read_yaml(resolve(str(file)))


def profiles() -> dict[str, dict[str, Any]]:
    """Every profile by its full name; a word in capitals is replaced by each of its values."""
    return {
        name.replace(word, str(value)): _filled(entry, word, value)
        for name, word, values, entry in patterns()
        for value in values
    }


def patterns() -> Iterator[tuple[str, str, list[Any], dict[str, Any]]]:
    """The entries of profiles.yaml: name, its word in capitals, that word's values, the rest.

    A name without such a word has an empty one, with one value.

    Raises:
        InputError: an entry lacks the list of its word.
    """
    file = FOLDER / "profiles.yaml"
    for name, entry in read_settings(file).items():
        found = re.search(r"[A-Z]{2,}", name)
        word = found[0] if found else ""
        values = entry.get(word) if word else [""]
        if not isinstance(values, list):
            raise InputError(f"{file}: {name}: expected a list `{word}` of values. Add it.")
        yield name, word, values, {key: value for key, value in entry.items() if key != word}


def _filled(node: Any, word: str, value: Any) -> Any:
    """An entry with a value in the place of a word."""
    if not word:
        return node
    if isinstance(node, dict):
        return {key: _filled(item, word, value) for key, item in node.items()}
    if isinstance(node, list):
        return [_filled(item, word, value) for item in node]
    if node == word:
        return value
    return node.replace(word, str(value)) if isinstance(node, str) else node
