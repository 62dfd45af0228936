"""The block `eval.judge` of params.yaml: what model compares outputs, and where it is."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

from annotated_types import Ge, Gt

from dataselect.errors import InputError
from dataselect.settings import NonNegativeInt, PositiveInt, check_settings

WHERE = "params.yaml: eval.judge"


@dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """The block `eval.judge`.

    Attributes:
        url: of an endpoint with OpenAI's chat completions, such as `https://api.openai.com/v1`.
        model: the judge, as the endpoint names it.
        api_key_env: the environment variable that holds the key, which is never written anywhere;
            None: no key is sent.
        timeout: seconds that the endpoint may be silent.
        retries: how often a question is sent again that was not answered, after a growing wait.
        parallel: questions that are sent at a time.
        price: of a million tokens, in a currency of yours, to add up what the judge cost.
        request: what a question has otherwise than the kind's file says, such as `max_tokens`;
            None leaves a field out.
    """

    url: str
    model: str
    api_key_env: str | None = "OPENAI_API_KEY"
    timeout: Annotated[float, Gt(0)] = 60.0
    retries: NonNegativeInt = 5
    parallel: PositiveInt = 5
    price: Annotated[float, Ge(0)] | None = None
    request: dict[str, int | float | str | bool | None] = field(default_factory=dict)


def read_judge(given: Mapping[str, Any] | None) -> JudgeSettings | None:
    """The block, checked and completed with its defaults; None where there is none.

    Raises:
        InputError: a setting is wrong, the address is not safe or no address, or what should name
            the variable of the key is no name.
    """
    if given is None:
        return None
    settings = JudgeSettings(**check_settings(JudgeSettings, given, WHERE))
    _check_url(settings.url)
    name = settings.api_key_env
    # What is found is not shown: it may be the key itself.
    if name is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        raise InputError(
            f"{WHERE}.api_key_env: expected the name of an environment variable, in capitals, such "
            "as OPENAI_API_KEY. Put the key into that variable, never into params.yaml."
        )
    fixed = {"model", "messages", "stream", "n"}.intersection(settings.request)
    if fixed:
        raise InputError(
            f"{WHERE}.request: `{min(fixed)}` cannot be set here. Remove it"
            f"{'; set `eval.judge.model`.' if 'model' in fixed else '.'}"
        )
    return settings


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise InputError(f"{WHERE}.url: no address: {error}. Fix it there.") from None
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            f"{WHERE}.url: expected an address without a user, a password, `?` and `#`. Remove "
            "them; the key belongs into the variable that `api_key_env` names."
        )
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(
            f"{WHERE}.url: expected an address like https://api.openai.com/v1; found {url!r:.80}. "
            "Fix it there."
        )
    if parts.scheme == "http" and not is_local(url):
        raise InputError(
            f"{WHERE}.url: expected https for `{host}`; found http, by which anybody on the way "
            "reads the key. Plain http is for this machine and private addresses only, such as "
            "http://localhost:8000/v1 or http://10.0.0.5:8000/v1. Use https."
        )


def is_local(url: str) -> bool:
    """Whether a URL is of this machine or of a private network.

    That is: `localhost`, a name without a dot, or an address that is not routed on the internet.
    """
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return re.fullmatch(r"[a-z][a-z0-9_-]*|.*\.localhost", host) is not None
    return address.is_private and not address.is_unspecified


def read_key(settings: JudgeSettings) -> str | None:
    """The judge's key, from the environment; None where none is sent.

    Raises:
        InputError: the variable is not set, or holds what no key has.
    """
    name = settings.api_key_env
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise InputError(
            f"eval.judge.api_key_env: the environment variable {name} is not set. Set it to the "
            f"key of {settings.url}, or set `api_key_env: null` for a server without keys."
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise InputError(
            f"eval.judge.api_key_env: {name} holds blanks or other characters that no key has. "
            "Set it to the key alone."
        )
    return key


def missing_key(settings: JudgeSettings | None) -> str | None:
    """A note where the judge's key is not in the environment; None where it is, or none is sent."""
    if settings is None or settings.api_key_env is None or os.environ.get(settings.api_key_env):
        return None
    return (
        f"the environment variable {settings.api_key_env} is not set: where tests are judged, "
        "`baseline` and `eval` will end with an error"
    )
