"""A row that cannot be understood, and what its values are."""

from __future__ import annotations

from typing import Any


class BadRow(ValueError):
    """A row that cannot be understood: what was expected, and what was found."""


def checked_text(value: Any, where: str) -> str:
    """A value that must be text, and valid Unicode.

    Args:
        where: its place in the row, for the message.

    Raises:
        BadRow: it is not.
    """
    if not isinstance(value, str):
        raise BadRow(f"{where}: expected text, found {json_type(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            half = value[error.start]
            raise BadRow(f"{where}: not valid Unicode: half a surrogate pair, {half!r}") from None
    return value


def json_type(value: Any) -> str:
    """What a value is, in JSON's words."""
    names: dict[type, str] = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)
