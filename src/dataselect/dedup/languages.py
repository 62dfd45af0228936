"""Which language a text is in: for `pool.languages`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from dataselect.errors import InputError, install_extra

#: Characters of a row that are looked at: more change next to nothing.
MAX_CHARACTERS = 2_000

#: The detector's score of a text without anything to go by is the lowest 32-bit float.
NO_SCORE = -1e38

#: A text in which the detector finds nothing to go by, such as numbers.
UNKNOWN = "unknown"


def check_languages() -> None:
    """Checks that the detector is installed.

    Raises:
        InputError: it is not.
    """
    if importlib.util.find_spec("py3langid") is None:
        raise InputError(
            "pool.languages: the package `py3langid` is not installed. Install it: "
            f"{install_extra('languages')}; or remove the setting."
        )


def load_detector() -> Callable[[str], str]:
    """A function that says which language a text is in, as a code like `en`.

    Source: py3langid, a fork of langid.py (Lui and Baldwin 2012), with its own model of bytes.
    """
    import py3langid

    def detect(text: str) -> str:
        language, score = py3langid.classify(text[:MAX_CHARACTERS])
        return UNKNOWN if score < NO_SCORE else language

    return detect
