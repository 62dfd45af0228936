"""Refuses secrets in params.yaml and methods.yaml, whose settings go into plan.json and caches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dataselect.errors import TOKENS, InputError

#: Settings that are called so hold a secret.
NAMES = re.compile(r"(.*_)?(token|key|password|passwd|secret|credentials?)", re.IGNORECASE)

#: A login or signature in a URL.
IN_URL = re.compile(
    r"://[^\s/@:]*:[^\s/@]+@|https?://[^\s/@]+@|[?&](x-amz-signature|signature|sig|token)=",
    re.IGNORECASE,
)

#: Settings whose own keys are names of the user's data: tasks, sources, columns.
FREE = ("eval.kinds", "mix", "pool.columns", "pool.sources", "pool.where")


def check_no_secrets(settings: dict[str, Any], file: str) -> None:
    """Checks that no setting is a token, a key, a password, or a URL with one.

    Args:
        settings: what the file holds.
        file: its name, for the message, which does not show the secret.

    Raises:
        InputError: one is.
    """
    for place, name, value in _leaves(settings, ""):
        if _is_secret(place, name, value):
            raise InputError(
                f"{file}: {place}: found a token, key or password, which would be written into "
                "plan.json, metrics and caches. Remove it, replace it where it was issued if the "
                "file was ever shared, and set an environment variable: HF_TOKEN for the hub (or "
                "`hf auth login`), AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for a bucket."
            )


def _is_secret(place: str, name: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    if TOKENS.search(value) or IN_URL.search(value):
        return True
    is_free = any(place.startswith(f"{free}.") for free in FREE)
    return bool(value and NAMES.fullmatch(name)) and not is_free


def _leaves(value: Any, place: str, name: str = "") -> Iterator[tuple[str, str, Any]]:
    """The place, the name and the value of every setting that is not a block or a list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}".lstrip("."), str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, place, name)
    else:
        yield place, name, value
