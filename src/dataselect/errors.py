"""A user's mistake as one message: where, what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
import errno
import os
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


def first_few(items: Iterable[object], limit: int = 5) -> str:
    """The first items of a list as text, and how many more there are."""
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(str(item) for item in items[:limit]) + more


#: The system's error numbers for a disk, a quota or a file size that is used up.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, means that nothing more can be written."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        # Libraries in other languages pass on the number, or only the system's text.
        if getattr(error, "errno", None) in FULL:
            return True
        if any(os.strerror(code) in str(error) for code in FULL):
            return True
        error = error.__cause__ or error.__context__
    return False
