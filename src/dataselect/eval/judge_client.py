"""Asks an endpoint with OpenAI's chat completions, with retries; several threads may at once."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

from dataselect.errors import InputError
from dataselect.eval.judge import JudgeSettings, is_local

if TYPE_CHECKING:
    import httpx2

#: Seconds before the first retry, doubled each time; the longest wait, also one that is asked for.
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0

#: Statuses after which the same question may well be answered.
TRANSIENT = (408, 409, 425, 429)

#: The question itself is not taken: too long, say, or stopped by a filter. Others may be.
REFUSED = (400, 413, 422)

#: Shorter keys are what local servers are given where they want none: no secrets.
SECRET_LENGTH = 8


class NoReplyError(Exception):
    """A question was not answered after all retries; the text says what happened last."""


@dataclass(frozen=True)
class Reply:
    """What came of a question.

    Attributes:
        text: the judge's words; empty where it is refused.
        model: what the endpoint calls the model that answered.
        tokens: of question and reply, as the endpoint counts them.
        refusal: why the endpoint did not take the question; None where it did.
    """

    text: str
    model: str | None = None
    tokens: int = 0
    refusal: str | None = None


class Endpoint:
    """The judge's endpoint; use it in a `with` statement.

    Args:
        settings: where it is, and how patient to be.
        key: sent with every question; never a part of a message or a reply.
    """

    def __init__(self, settings: JudgeSettings, key: str | None) -> None:
        import httpx2

        self.settings, self.key = settings, key
        self.url = f"{settings.url.rstrip('/').removesuffix('/chat/completions')}/chat/completions"
        self.stopped = threading.Event()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # Redirects are not followed: the key goes to this address alone. A proxy that the
        # environment names is for the internet.
        self.client = httpx2.Client(
            headers=headers, timeout=settings.timeout, trust_env=not is_local(settings.url)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def ask(self, body: dict[str, Any]) -> Reply:
        """Sends a question until it is answered.

        Args:
            body: the request: `model`, `messages` and so on.

        Raises:
            NoReplyError: there was no answer after all retries, or the endpoint was stopped.
            InputError: the key, the address or the model is wrong: no question can be answered.
        """
        import httpx2

        problem, wait = "", 0.0
        for attempt in range(self.settings.retries + 1):
            if attempt and self.stopped.wait(wait):
                break
            wait = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT)
            try:
                response = self.client.post(self.url, json=body)
            except httpx2.TimeoutException:
                problem = f"no answer within {self.settings.timeout:g} s"
                continue
            except (httpx2.RequestError, httpx2.InvalidURL) as error:
                problem = self._hidden(str(error) or type(error).__name__)
                continue
            status = response.status_code
            if status in TRANSIENT or status >= 500:
                problem = self._describe(response)
                wait = min(_retry_after(response, wait), LONGEST_WAIT)
                continue
            reply = self._reply(response)
            if reply is not None:
                return reply
            problem = "what came back is not of the form of chat completions"
        raise NoReplyError(problem or "stopped")

    def stop(self) -> None:
        """Ends the waits of all threads: what they wait for is not sent again."""
        self.stopped.set()

    def _reply(self, response: httpx2.Response) -> Reply | None:
        """A response that is no transient error; None where its form is wrong."""
        status = response.status_code
        if status in REFUSED:
            return Reply("", refusal=self._describe(response))
        if status != 200:
            raise InputError(self._what_to_do(response))
        try:
            content = json.loads(response.text)
            text = content["choices"][0]["message"]["content"]
            if not isinstance(text, str | None):
                return None
            tokens = (content.get("usage") or {}).get("total_tokens") or 0
            return Reply(self._hidden(text or ""), str(content.get("model")), int(tokens))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            return None

    def _what_to_do(self, response: httpx2.Response) -> str:
        found, name = self._describe(response), self.settings.api_key_env
        if response.status_code in (401, 403):
            variable = f"the environment variable {name}" if name else "`eval.judge.api_key_env`"
            return (
                f"eval.judge: {self.settings.url} does not accept the key: {found}. Check "
                f"{variable}, and whether the key may use the model `{self.settings.model}`."
            )
        return (
            f"eval.judge: {self.url}: {found}. Check `eval.judge.url`, to which /chat/completions "
            f"is added, and `eval.judge.model` (`{self.settings.model}`)."
        )

    def _describe(self, response: httpx2.Response) -> str:
        """The status, and the beginning of the endpoint's own message."""
        text = self._hidden(response.text)
        try:
            error = json.loads(text)["error"]
            text = str(error["message"]) if isinstance(error, dict) else str(error)
        except (ValueError, KeyError, TypeError):
            pass
        words = " ".join(text.split()).rstrip(".")
        return f"status {response.status_code}" + (f": {words:.200}" if words else "")

    def _hidden(self, text: str) -> str:
        """A text without the key, which an endpoint might repeat."""
        key = self.key or ""
        return text.replace(key, "[key]") if len(key) >= SECRET_LENGTH else text


def _retry_after(response: httpx2.Response, default: float) -> float:
    """Seconds that a response asks to wait: its header Retry-After, a number or a date."""
    value = response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(value)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return default
