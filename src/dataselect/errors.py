"""A user's mistake, told in one message: where, what was expected, what was found, what to do."""

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


def first_few(items: Iterable[object], most: int = 5) -> str:
    """The first few items, and how many more there are: what an error names of a long list."""
    items = list(items)
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(str(item) for item in items[:most]) + more


#: What the libraries say of a disk, a quota or a file size that is used up.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, is that nothing more can be written."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        # Libraries that write by themselves have only the system's words for it, and its number.
        if getattr(error, "errno", None) in FULL:
            return True
        if any(os.strerror(code) in str(error) for code in FULL):
            return True
        error = error.__cause__ or error.__context__
    return False
