"""Renders a chat template as transformers does; what goes wrong comes with a reason."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from dataselect.errors import InputError
from dataselect.models.time_limit import LOOKS, SECONDS, TimeLimit, TooLong

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from dataselect.data.tables import Message

#: transformers compiles a template once, and with markers it renders for one thread at a time.
_RENDERING = Lock()
_TIME_LIMIT = TimeLimit()

#: What a template says of why it rejects a conversation may be the whole conversation.
LONGEST_REASON = 300


class BadTemplate(ValueError):
    """A template that can render nothing: the message says what is wrong with it."""


class Rejected(ValueError):
    """A conversation that a template does not render: the message is the reason."""


def render(
    source: str, row: list[Message], tools: Any, *, markers: bool, prompt: bool, variables: dict
) -> tuple[str, list[tuple[int, int]]]:
    """A conversation as text, and the character spans between the template's markers.

    Args:
        source: the template.
        tools: what the template is given as tools; None: nothing.
        markers: whether it has `{% generation %}` markers; else there are no spans.
        prompt: whether the text goes on to where the assistant's next turn begins.
        variables: what else the template may name.

    Raises:
        BadTemplate: it is not a template, or it renders for longer than `SECONDS` × `LOOKS`.
        Rejected: it raises an error for this conversation.
    """
    from jinja2 import TemplateSyntaxError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        with _RENDERING, _TIME_LIMIT.watched():
            rendered: Any = render_jinja_template(
                conversations=[row],
                tools=tools,
                chat_template=source,
                return_assistant_tokens_mask=markers,
                add_generation_prompt=prompt,
                **variables,
            )
    except TemplateSyntaxError as error:
        raise BadTemplate(
            f"has a syntax error in line {error.lineno}: {_plain(error.message or '')}"
        ) from None
    except TooLong:
        raise BadTemplate(
            f"renders one conversation for longer than {LOOKS * SECONDS:.0f} s, as with loops in "
            "loops"
        ) from None
    except Exception as error:  # of any type: the template's own code raises them
        raise Rejected(_reason(error)) from None
    (text, *_), spans = rendered
    if not text.isascii() and _plain(text) != text:  # no tokenizer takes it
        raise Rejected("it writes half a surrogate pair")
    return text, spans[0] if spans else []


def _reason(error: Exception) -> str:
    """Why a template rejects a conversation: what it says itself, or what kind of error it is."""
    from jinja2 import TemplateError

    says_why = isinstance(error, TemplateError | TypeError | ValueError | ArithmeticError)
    text = str(error) if says_why and str(error) else f"{type(error).__name__}: {error}"
    text = text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"
    return _plain(text).rstrip(".: ")


def _plain(text: str) -> str:
    """A text with half surrogate pairs written out: no table or terminal takes them."""
    return text.encode("utf-8", "backslashreplace").decode()


def template_source(tokenizer: PreTrainedTokenizerBase, name: str) -> str:
    """The text of a tokenizer's own chat template.

    Args:
        name: the model's, for messages.

    Raises:
        InputError: it has none, several and none called `default`, or one that is no text.
    """
    if not tokenizer.chat_template:
        raise InputError(
            f"model.chat: `model`, but the tokenizer of {name} has no chat template. "
            "Set `model.chat: tulu`."
        )
    try:
        source = tokenizer.get_chat_template()
    except ValueError:
        names = ", ".join(map(str, tokenizer.chat_template))
        raise InputError(
            f"model.chat: `model`: the tokenizer of {name} has several chat templates ({names}): "
            "expected one called `default`. Rename one in the model's files, or set "
            "`model.chat: tulu`."
        ) from None
    if not isinstance(source, str):
        raise InputError(
            f"model.chat: `model`: the chat template of {name}: expected a text, found "
            f"{source!r:.40}. Fix tokenizer_config.json, or set `model.chat: tulu`."
        )
    return source
