"""Texts of files in which no character does anything, to be shown in pages and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dataselect.data.files import write_json
from dataselect.errors import inert


def inert_values(value: Any) -> Any:
    """Values whose texts are `inert`, in lists and dictionaries, whose keys stay as they are."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, dict):
        return {key: inert_values(item) for key, item in value.items()}
    return [inert_values(item) for item in value] if isinstance(value, list) else value


def write_plot(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes rows that `dvc plots` draws.

    DVC puts them into a script of its page as they are: there a `<` could end the script.
    """
    write_json(path, [{k: _without_tags(v) for k, v in row.items()} for row in rows])


def _without_tags(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return inert(value).replace("<", "\N{FULLWIDTH LESS-THAN SIGN}")
