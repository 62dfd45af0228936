"""A user's mistake as one message: where, what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager

#: The most characters of a message: its first and its last, which say what to do, are kept. And of
#: a name in a list, and names in a list of what there is: a file may have any number of any length.
LONGEST_MESSAGE = 4_000
LONGEST_NAME, MOST_NAMES = 200, 60

#: Variables whose values are shown nowhere.
SECRET_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "AWS_ACCESS_KEY_ID")
SECRET_VARIABLES += ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

#: Tokens of the hub and ids of AWS keys; what logs in by a URL; values in a signed URL.
TOKENS = re.compile(r"\bhf_[A-Za-z0-9]{16,}\b|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
LOGIN = re.compile(r"(?<=://)[^\s/@'\"]+@")
SIGNED = re.compile(
    r"([?&](?:x-amz-[\w-]+|(?:access_?|auth_?)?token|api_?key|key-pair-id|policy|sig\w*|"
    r"expires|awsaccesskeyid)=)[^&\s'\"]+",
    re.IGNORECASE,
)

#: Control characters but line break and tab, those that turn the direction of writing, and what
#: XML cannot hold.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")

#: How to let the hub know who asks.
LOG_IN = "set the environment variable HF_TOKEN, or log in: `hf auth login`"


def without_secrets(text: str) -> str:
    """A text with its tokens, passwords in URLs and signatures of URLs replaced by `…`.

    >>> without_secrets("https://me:pass@host/a?Signature=abc&x=1")
    'https://…@host/a?Signature=…&x=1'
    """
    for value in (os.environ.get(name, "") for name in SECRET_VARIABLES):
        if len(value) >= 8:
            text = text.replace(value, "…")
    return SIGNED.sub(r"\1…", LOGIN.sub("…@", TOKENS.sub("…", text)))


def inert(text: str) -> str:
    """A text in which no character does anything: control characters become the signs for them.

    >>> inert("a\\x1b[31mred")
    'a␛[31mred'
    """
    if not UNSAFE.search(text):
        return text
    return UNSAFE.sub(_sign, text.replace("\r\n", "\n"))


def _sign(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\N{REPLACEMENT CHARACTER}"


class InputError(ValueError):
    """Something in the user's parameters or data is wrong; the message says what to do.

    Args:
        message: it is shown without secrets, which libraries may have put into their errors, and
            without control characters, which names in the data may have; without its middle where
            that is long.
    """

    def __init__(self, message: str) -> None:
        message = inert(without_secrets(message))
        if len(message) > LONGEST_MESSAGE:
            half = LONGEST_MESSAGE // 2 - 2
            message = f"{message[:half]} … {message[-half:]}"
        super().__init__(message)


@contextmanager
def option_errors(options: Iterable[str]) -> Generator[None]:
    """Names the option of a command, where an error is about the setting that it gave.

    Args:
        options: names without their dashes, which are those of the settings.
    """
    try:
        yield
    except InputError as error:
        place, _, rest = str(error).partition(": ")
        key, _, reason = rest.partition(": ")
        option = key.partition(".")[0]
        if place != "params.yaml" or option not in options:
            raise
        reason = reason.replace(" Fix it there.", " Give another.")
        raise InputError(f"--{option}: {reason}") from None


def did_you_mean(name: object, names: Iterable[str]) -> str:
    """Names the nearest right name and lists them all, to end an error about a wrong one.

    >>> did_you_mean("rsd", ["random", "rds"])
    'Did you mean `rds`? There are: random, rds.'
    """
    names = list(names)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"Did you mean `{_shortened(near[0])}`? " if near else ""
    return f"{hint}There are: {first_few(names, MOST_NAMES) or 'none'}."


def first_few(items: Iterable[object], limit: int = 5) -> str:
    """The first items of a list as text, and how many more there are."""
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(_shortened(str(item)) for item in items[:limit]) + more


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def install_extra(name: str) -> str:
    """How to install an extra, for a message about a package that is missing.

    pip adds it to the dataselect that is installed, also in a clone; no index need have that.
    """
    return f"pip install 'dataselect[{name}]' (also in a clone)"


def is_librarys(error: BaseException) -> bool:
    """Whether an error is a library's, not a wish to end: a panic of Rust is no `Exception`."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


#: The system's error numbers for a disk, a quota or a file size that is used up.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


#: Those of a disk, or a shared folder, that cannot be read or written, or not any more.
FAILS = (errno.EIO, errno.EROFS, errno.ESTALE, errno.ENXIO)


def disk_is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, means that nothing more can be written."""
    return _of_system(error, FULL) is not None


def disk_fails(error: BaseException | None) -> str | None:
    """What an error, or one that caused it, says of a disk that fails; None where it is another."""
    return _of_system(error, FAILS)


def _of_system(error: BaseException | None, codes: tuple[int, ...]) -> str | None:
    """The first of an error and its causes that has one of the system's numbers, as text."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        # Libraries in other languages pass on the number, or only the system's text.
        if getattr(error, "errno", None) in codes:
            return str(error)
        if any(os.strerror(code) in str(error) for code in codes):
            return str(error)
        error = error.__cause__ or error.__context__
    return None
