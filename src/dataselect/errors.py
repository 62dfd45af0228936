"""A user's mistake, told in one message: where, what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something in the user's parameters or data is wrong; the message says what to do."""


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """Names the nearest right name and lists them all, to end an error about a wrong one.

    >>> did_you_mean("rsd", ["random", "rds"])
    'Did you mean `rds`? There are: random, rds.'
    """
    names = list(names)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"Did you mean `{near[0]}`? " if near else ""
    return f"{hint}There are: {', '.join(names)}."


def some(items: Iterable[object], most: int = 5) -> str:
    """The first few items, and how many more there are: what an error names of a long list."""
    items = list(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(str(item) for item in items[:most]) + more
