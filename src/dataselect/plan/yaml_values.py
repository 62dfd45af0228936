"""What a YAML file of settings may hold: texts, numbers, true, false, null, lists and blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dataselect.errors import InputError

#: Far above any file of settings. Aliases (`*name`) count as often as they stand there: a few
#: lines of them can stand for more values than a machine can hold, or for themselves.
MOST_VALUES = 100_000
MOST_LEVELS = 40

ALIASES = "Write the values out instead of the aliases (`*name`), or remove them."


def check_values(content: Any, file: str) -> None:
    """Checks that settings are values that JSON has too, and not too many.

    Args:
        content: what the file holds.
        file: its name, for messages.

    Raises:
        InputError: a date, a set, bytes; a number of more than 64 bits; a name that is no text; a
            text that is not valid Unicode; or more values, or more blocks in each other, than
            settings have.
    """
    for count, (place, value, levels) in enumerate(_values(content)):
        where = f"{file}: {place:.80}" if place else file
        if count > MOST_VALUES:
            raise InputError(
                f"{file}: expected at most {MOST_VALUES:,} values; found more. {ALIASES}"
            )
        if levels > MOST_LEVELS:
            raise InputError(
                f"{where}: expected at most {MOST_LEVELS} blocks and lists in each other; found "
                f"more. {ALIASES}"
            )
        if isinstance(value, dict):
            for name in value:
                _check_name(name, where)
        elif isinstance(value, str):
            _check_text(value, where)
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(
                f"{where}: expected a whole number of at most 64 bits; found {value!r:.40}. Fix it "
                "there."
            )
        elif not isinstance(value, bool | int | float | list | None):
            raise InputError(
                f"{where}: expected a text, a number, a list or a block; found "
                f"{type(value).__name__}: {value!r:.60}. Set quotes around a text."
            )


def _values(content: Any) -> Iterator[tuple[str, Any, int]]:
    """Every value with its place and how many blocks and lists it stands in."""
    rest = [("", content, 0)]
    while rest:
        place, value, levels = rest.pop()
        yield place, value, levels
        if isinstance(value, dict):
            rest += [(f"{place}.{key}".lstrip("."), v, levels + 1) for key, v in value.items()]
        elif isinstance(value, list):
            rest += [(place, item, levels + 1) for item in value]


def _check_name(name: Any, where: str) -> None:
    if not isinstance(name, str):
        raise InputError(
            f"{where}: expected names that are texts; found {name!r:.60}. Set quotes around it."
        )
    _check_text(name, where)


def _check_text(text: str, where: str) -> None:
    found = "a null character" if "\0" in text else None
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            found = f"half a surrogate pair, {text[error.start]!r}"
    if found:
        raise InputError(f"{where}: expected text; found {found} in {text!r:.60}. Remove it.")
