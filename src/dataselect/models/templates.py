"""Chat templates: a conversation as text, and which of its characters are the responses'."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.data.tool_use import ToolConversation, with_turns
from dataselect.errors import InputError
from dataselect.models.rendering import BadTemplate, Rejected, render
from dataselect.models.tool_use import as_text, what_is_lost

if TYPE_CHECKING:
    from dataselect.data.tables import Message

#: Character spans of a text: first, and one past the last.
Spans = list[tuple[int, int]]

#: The shortest conversation, from which a template's header is learned.
SINGLE_TURN: list[Message] = [{"role": "user", "content": "a"}]

#: What a template writes as today's date: that of Llama 3.2's own where it cannot ask for it.
DATE = datetime(2024, 7, 26)

#: Where a template asks for today's date, and in which form.
TODAY = re.compile(r"""\bstrftime_now\(\s*(["'])(.*?)\1\s*\)""")


class TemplateRejected(InputError):
    """A model's own chat template rejects a conversation; the message has its reason."""


class ToolUseRejected(TemplateRejected):
    """A model's own chat template loses something of a conversation with tools.

    Attributes:
        reason: what it does, as in `tool calls left out`.
    """

    def __init__(self, reason: str, tokenizer_name: str) -> None:
        super().__init__(
            f"model.chat: {reason} by the template of {tokenizer_name}. Drop such rows, or set "
            "`chat: tulu` for a model that only measures them."
        )
        self.reason = reason


@dataclass(frozen=True)
class Template:
    """A Jinja chat template with what it is rendered with.

    Attributes:
        source: the template.
        special_tokens: variables of the template: `eos_token` and the like.
        tokenizer_name: whose template it is, for messages.
        tools_as_text: whether tools and calls become texts of turns first: see `tool_use.as_text`.
            Else they are given to the template.
    """

    source: str
    special_tokens: dict[str, Any]
    tokenizer_name: str
    tools_as_text: bool = False

    def render(self, row: list[Message]) -> tuple[str, Spans]:
        """A conversation as text, and the character spans of its responses.

        The spans are those of the template's `{% generation %}` markers; without markers they are
        found by rendering the conversation up to each response and with it.

        Raises:
            TemplateRejected: the template raises an error for this conversation, or loses
                something of the tools in it.
            InputError: the template has no markers and rewrites earlier turns.
        """
        if isinstance(row, ToolConversation) and not self.tools_as_text:
            self._check_tool_use(row)
        text, spans = self._render(row)
        return text, spans if self._has_markers else self._spans_by_prefixes(row, text)

    def prompt(self, row: list[Message]) -> str:
        """A conversation as text, up to where the assistant's next turn begins.

        Raises:
            TemplateRejected: the template raises an error for this conversation.
        """
        return self._render(row, add_generation_prompt=True)[0]

    @cached_property
    def header(self) -> str:
        """The assistant's header: what a generation prompt adds to a conversation; may be empty.

        Raises:
            TemplateRejected: the template raises an error for a single user turn.
        """
        finished, prompt = self._single_turn.rstrip(), self.prompt(SINGLE_TURN)
        if not prompt.startswith(finished):  # an end of text, which a generation prompt replaces
            finished = self._without_end(finished)
        return prompt[_shared_start(finished, prompt) :].lstrip()

    @cached_property
    def opening(self) -> str:
        """What a response alone follows: a BOS where the template writes it, and the header.

        Raises:
            TemplateRejected: the template raises an error for a single user turn.
        """
        bos = self.special_tokens.get("bos_token") or ""
        return (bos if self._single_turn.startswith(bos) else "") + self.header

    @cached_property
    def space(self) -> str:
        """The white space that the template itself writes before a response, as Mistral's does.

        Raises:
            TemplateRejected: the template raises an error for a user turn and a response.
        """
        text, spans = self.render([*SINGLE_TURN, {"role": "assistant", "content": "b"}])
        response = text[slice(*spans[0])] if spans else ""
        return response[: len(response) - len(response.lstrip())]

    @cached_property
    def _single_turn(self) -> str:
        return self._render(SINGLE_TURN)[0]

    @cached_property
    def _has_markers(self) -> bool:
        return re.search(r"\{%-?\s*generation\s*-?%\}", self.source) is not None

    @cached_property
    def _knows_developers(self) -> bool:
        return "developer" in self.source

    def _check_tool_use(self, row: ToolConversation) -> None:
        def render(probe: ToolConversation) -> tuple[str, str]:
            text, spans = self._render(probe)
            marked = "".join(text[start:end] for start, end in spans)
            return text, marked if self._has_markers else text

        if (loss := what_is_lost(row, render)) is not None:
            raise ToolUseRejected(loss, self.tokenizer_name)

    def _prepared(self, row: list[Message]) -> list[Message]:
        """The row as the template reads it: with developers as system, where it knows none."""
        if self.tools_as_text and isinstance(row, ToolConversation):
            row = as_text(row)
        if self._knows_developers or all(turn["role"] != "developer" for turn in row):
            return row
        turns = [turn | {"role": "system"} if turn["role"] == "developer" else turn for turn in row]
        return with_turns(row, turns)

    def _render(self, row: list[Message], add_generation_prompt: bool = False) -> tuple[str, Spans]:
        row = self._prepared(row)
        try:
            return render(
                self.source,
                row,
                row.tools if isinstance(row, ToolConversation) else None,
                markers=self._has_markers,
                prompt=add_generation_prompt,
                variables=self.special_tokens,
            )
        except BadTemplate as error:
            raise InputError(
                f"{self._file}: the chat template {error}. Fix it there, or set `model.chat: tulu`."
            ) from None
        except Rejected as error:
            raise TemplateRejected(
                f"model.chat: the template of {self.tokenizer_name} rejects a conversation: "
                f"{error}. Drop such rows, or set `model.chat: tulu`."
            ) from None

    @property
    def _file(self) -> str:
        """Where the template stands, for messages."""
        folder = Path(self.tokenizer_name)
        if not folder.is_dir():
            return self.tokenizer_name
        own = folder / "chat_template.jinja"
        return str(own if own.is_file() else folder / "tokenizer_config.json")

    def _spans_by_prefixes(self, row: list[Message], text: str) -> Spans:
        spans = []
        for index, turn in enumerate(row):
            if turn["role"] != "assistant":
                continue
            before = self.prompt(row[:index]) if index else self._before_first(row, text)
            after = self._render(row[: index + 1])[0].rstrip()
            if not text.startswith(after):  # an end of text, which is only behind the last turn
                after = self._without_end(after)
            if not (text.startswith(before) and text.startswith(after)):
                if isinstance(row, ToolConversation):  # others may keep their turns as they are
                    raise ToolUseRejected("earlier turns rewritten", self.tokenizer_name)
                raise InputError(
                    f"model.chat: the template of {self.tokenizer_name} rewrites earlier turns, so "
                    "the responses cannot be located. Put {% generation %} markers into it, or "
                    "set `model.chat: tulu`."
                )
            if isinstance(row, ToolConversation):
                before = self._with_header(before, text)
            spans.append((len(before), len(after)))
        return spans

    def _without_end(self, text: str) -> str:
        """The text without an eos at its end, and without white space there."""
        return text.removesuffix(self.special_tokens.get("eos_token") or "").rstrip()

    def _with_header(self, prompt: str, text: str) -> str:
        """The prompt and the header after it: Gemma 4's prompt after a result has none."""
        is_next = not prompt.endswith(self.header) and text.startswith(self.header, len(prompt))
        return prompt + self.header if is_next else prompt

    def _before_first(self, row: list[Message], text: str) -> str:
        """What stands before a response that begins a conversation: a system prompt, the header."""
        other = "b" if row[0]["content"].lstrip().startswith("a") else "a"
        first = {"role": row[0]["role"], "content": other}  # without calls: these begin there too
        changed = self._render(with_turns(row, [first, *row[1:]]))[0]
        before = text[: _shared_start(text, changed)]
        start = before.rfind(self.header)
        return before[: start + len(self.header)] if self.header and start >= 0 else before


def with_fixed_date(source: str) -> str:
    """A template that writes `DATE` where it would write today's: tokens are the same every day."""

    def fixed(found: re.Match[str]) -> str:
        try:
            return f"{found[1]}{DATE.strftime(found[2])}{found[1]}"
        except ValueError:  # no form of a date: it is rejected where it is rendered
            return found[0]

    return TODAY.sub(fixed, source)


def _shared_start(first: str, second: str) -> int:
    """How many characters two texts have in common at their start."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(first), len(second)))
