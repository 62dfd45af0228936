"""A record's fields → texts and lists: what counts as missing, and numbers and lists as text."""

from __future__ import annotations

import json
import math
from typing import Any

#: The columns that a row's conversation is read from; each group is a form of it.
FORMS = (
    ("messages",),
    ("conversations",),
    ("instruction", "input", "output"),
    ("prompt", "completion", "response"),
)

#: Columns that mean the same; the first that is filled counts.
SYNONYMS = (("completion", "response"), ("system", "system_prompt"), ("source", "dataset"))

#: All columns that a row of the pool is read from.
POOL_COLUMNS = dict.fromkeys(
    ("id", "source", "dataset", *(name for form in FORMS for name in form), *SYNONYMS[1], "tools")
)


class BadRow(ValueError):
    """A row that cannot be understood: what was expected, and what was found."""


class NoMessages(BadRow):
    """A row without a column that a conversation is read from."""


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: null, NaN (as pandas writes it) or an empty text."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def value_of(record: dict[str, Any], name: str) -> Any:
    """A column's value; None where the record lacks it, or has a NaN."""
    value = record.get(name)
    return None if isinstance(value, float) and math.isnan(value) else value


def is_number(value: Any) -> bool:
    """Whether a value is a number that JSON can write; true and false are none."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def text_field(record: dict[str, Any], *names: str) -> str | None:
    """The first of these columns that is not missing, as text.

    Raises:
        BadRow: the text is not valid Unicode.
    """
    for name in names:
        if not is_missing(value := record.get(name)):
            return checked_text(str(value), name)
    return None


def name_field(record: dict[str, Any], *names: str) -> str | None:
    """An id, a source, a task: as `text_field`, but 3.0 is `3`.

    A column of whole numbers becomes one of floats where pandas meets a missing value in it.

    Raises:
        BadRow: the text is not valid Unicode.
    """
    for name in names:
        value = record.get(name)
        if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
            return str(int(value))
        if not is_missing(value):
            return checked_text(str(value), name)
    return None


def text_list_field(record: dict[str, Any], name: str) -> list[str] | None:
    """A column that lists texts or numbers, as texts; None where it is missing.

    A text may be a list written as JSON.

    Raises:
        BadRow: it is no list, or something in it is null.
    """
    if is_missing(items := record.get(name)):
        return None
    items = list_from_json(items)
    if not isinstance(items, list):
        raise BadRow(f"{name}: expected a list, found {json_type(items)}")
    return [checked_text(item if item is None else str(item), name) for item in items]


def list_from_json(value: Any) -> Any:
    """The list that a text writes as JSON; any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def turns_from_json(value: Any, column: str) -> Any:
    """The turns that a text writes as JSON; any other value as it is.

    Raises:
        BadRow: the text is not JSON.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        reason = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        reason = str(error)
    raise BadRow(f"{column}: expected a list of turns, found text that is not JSON: {reason}")


def checked_text(value: Any, where: str) -> str:
    """A text; a number as JSON writes it.

    Raises:
        BadRow: it is neither, or not valid Unicode.
    """
    if is_number(value):
        return json.dumps(value)
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
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
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
