"""Texts in which no character does anything, to be shown in pages and pictures."""

from __future__ import annotations

import re
from typing import Any

#: Control characters but line break and tab, those that turn the direction of writing, and what
#: XML cannot hold.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def inert(text: str) -> str:
    """A text whose control characters are replaced by the signs for them.

    >>> inert("a\\x1b[31mred")
    'a␛[31mred'
    """
    if not UNSAFE.search(text):
        return text
    return UNSAFE.sub(_sign, text.replace("\r\n", "\n"))


def inert_values(value: Any) -> Any:
    """The same of every text in lists and dictionaries, whose keys stay as they are."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, dict):
        return {key: inert_values(item) for key, item in value.items()}
    return [inert_values(item) for item in value] if isinstance(value, list) else value


def _sign(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"
