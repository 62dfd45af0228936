"""messages → token ids and the response mask: one encoder for scoring, training and evaluation."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dataselect.compute.prefetch import batched, prefetch
from dataselect.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from dataselect.data.tables import Message

Spans = list[tuple[int, int]]


#: Rows that are encoded together. Until they are arrays, tokens and their offsets are objects of
#: Python's, some two hundred bytes a token.
ROWS_PER_BLOCK = 256


class Encoded(NamedTuple):
    """A conversation as tokens.

    Attributes:
        ids: int32, t.
        response: which of them are the response's: bool, t.
        cut: whether `max_tokens` took some away.
    """

    ids: np.ndarray
    response: np.ndarray
    truncated: bool = False

    @property
    def has_response(self) -> bool:
        """Whether it has a response token that is predicted: the first token never is."""
        return bool(self.response[1:].any())


class TemplateRejected(InputError):
    """A model's own chat template does not take a conversation; the message says why."""


class Chat:
    """Encodes conversations for one tokenizer.

    Args:
        template: `tulu` (the format of the papers) or `model` (the tokenizer's own template).
        max_tokens: what is longer loses its end.

    Raises:
        InputError: the tokenizer has no eos, or no template where its own is asked for, or gives
            no character offsets (only "fast" tokenizers do).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template: str, max_tokens: int) -> None:
        self.tokenizer, self.template, self.max_tokens = tokenizer, template, max_tokens
        if not tokenizer.is_fast:
            raise InputError(f"model.name: {tokenizer.name_or_path}: no fast tokenizer; need one.")
        if template == "tulu" and not isinstance(tokenizer.eos_token, str):
            raise InputError(f"model.name: {tokenizer.name_or_path}: the tokenizer has no eos.")
        if template == "model" and not tokenizer.chat_template:
            raise InputError(
                f"model.chat: `model`, but the tokenizer of {tokenizer.name_or_path} has no chat "
                "template. Set `model.chat: tulu`."
            )
        # What the tokenizer itself puts before a text. Text is encoded without it, and it is put
        # before what does not begin with it: a template may have written it already.
        self.prefix: list[int] = _prefix(tokenizer)

    def encode(self, rows: list[list[Message]]) -> list[Encoded]:
        """Token ids and response masks, in the order of the rows."""
        return [one for block in batched(rows, ROWS_PER_BLOCK) for one in self._encode(block)]

    def encode_by_length(
        self, rows: list[list[Message]]
    ) -> Iterator[tuple[np.ndarray, list[Encoded]]]:
        """Blocks of rows of like length, longest first: their numbers (int64), and they as tokens.

        While one is worked on, a thread makes tokens of the next.
        """
        lengths = np.asarray([sum(len(turn["content"]) for turn in row) for row in rows])
        order = np.argsort(-lengths, kind="stable")
        blocks = (
            order[start : start + ROWS_PER_BLOCK] for start in range(0, len(rows), ROWS_PER_BLOCK)
        )
        return prefetch((block, self._encode([rows[i] for i in block])) for block in blocks)

    def _encode(self, rows: list[list[Message]]) -> list[Encoded]:
        rendered = [self.render(row) for row in rows]
        batch = self.tokenizer(
            [text for text, _ in rendered],
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        offsets = batch["offset_mapping"]
        return [
            self._cut(ids, _tokens_in_spans(offset, spans))
            for ids, offset, (_, spans) in zip(batch["input_ids"], offsets, rendered, strict=True)
        ]

    def _cut(self, ids: list[int], response: list[bool]) -> Encoded:
        prefix = [] if ids[: len(self.prefix)] == self.prefix else self.prefix
        whole = np.asarray([*prefix, *ids], dtype=np.int32)
        mask = np.asarray([*([False] * len(prefix)), *response], dtype=bool)
        most = self.max_tokens
        return Encoded(whole[:most], mask[:most], truncated=len(whole) > most)

    def render(self, row: list[Message]) -> tuple[str, Spans]:
        """A conversation as text, and the character spans that are the response's.

        Raises:
            Refused: the tokenizer's own template does not take such a conversation.
        """
        if self.template == "tulu":
            return tulu(row, str(self.tokenizer.eos_token))
        with _refusals(self.tokenizer):
            return _render_own_template(self.tokenizer, row)

    def prompt(self, row: list[Message]) -> str:
        """A conversation as text, up to where the assistant's next turn begins."""
        if self.template == "tulu":
            text, _ = tulu(row, str(self.tokenizer.eos_token))
            return text + "\n<|assistant|>\n"
        with _refusals(self.tokenizer):
            return _text(self.tokenizer, row, add_generation_prompt=True)


def tulu(row: list[Message], eos: str) -> tuple[str, Spans]:
    """The Tülu chat format and the spans of its responses.

    `<|role|>\\n{content}\\n`, an eos after the assistant's content; the whole stripped at its end.
    A response is the content, the eos and the newline behind it; the last turn's newline is gone.

    Source: hamishivi/automated-instruction-selection@df71a04, whose labels keep that newline too.
    """
    text, spans = "", []
    for turn in row:
        text += f"<|{turn['role']}|>\n"
        start = len(text)
        text += turn["content"].strip() + (eos if turn["role"] == "assistant" else "") + "\n"
        if turn["role"] == "assistant":
            spans.append((start, len(text)))
    return text.strip(), spans


def _render_own_template(
    tokenizer: PreTrainedTokenizerBase, row: list[Message]
) -> tuple[str, Spans]:
    """The tokenizer's own template; spans from its generation markers, or from prefixes."""
    if re.search(r"\{%-?\s*generation", str(tokenizer.chat_template)):
        return _by_markers(tokenizer, row)
    text = _text(tokenizer, row)
    spans = []
    for index, turn in enumerate(row):
        if turn["role"] != "assistant":
            continue
        # A conversation may begin with a response (one alone, say): then its header is its own.
        before = _text(tokenizer, row[:index], add_generation_prompt=True) if index else ""
        after = _text(tokenizer, row[: index + 1])
        if not (text.startswith(before) and text.startswith(after.rstrip())):
            raise InputError(
                f"model.chat: the template of {tokenizer.name_or_path} rewrites earlier turns, so "
                "the responses cannot be told apart. Put {% generation %} markers into it, or set "
                "`model.chat: tulu`."
            )
        spans.append((len(before), len(after.rstrip())))
    return text, spans


def _by_markers(tokenizer: PreTrainedTokenizerBase, row: list[Message]) -> tuple[str, Spans]:
    from transformers.utils.chat_template_utils import render_jinja_template

    special: dict[str, Any] = dict(tokenizer.special_tokens_map)
    texts, spans = render_jinja_template(
        conversations=[row],
        chat_template=str(tokenizer.chat_template),
        return_assistant_tokens_mask=True,
        **special,
    )
    return texts[0], [(int(a), int(b)) for a, b in spans[0]]


def _text(tokenizer: PreTrainedTokenizerBase, row: list[Message], **options: bool) -> str:
    return str(tokenizer.apply_chat_template(row, tokenize=False, **options))  # ty: ignore


@contextmanager
def _refusals(tokenizer: PreTrainedTokenizerBase) -> Generator[None]:
    """Says in one line what a template says of a conversation that it does not take."""
    from jinja2 import TemplateError

    try:
        yield
    except TemplateError as error:
        raise TemplateRejected(
            f"model.chat: the template of {tokenizer.name_or_path} refuses a conversation: {error}"
        ) from None


def _tokens_in_spans(offsets: list[tuple[int, int]], spans: Spans) -> list[bool]:
    """Which tokens share a character with one of the spans."""
    starts, ends = [start for start, _ in offsets], [end for _, end in offsets]
    answer = [False] * len(offsets)
    for first, last in spans:
        for index in range(bisect_right(ends, first), bisect_left(starts, last)):
            answer[index] = True
    return answer


def _prefix(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    return list(full[: full.index(bare[0])]) if bare and bare[0] in full else []


def mark_last_response(row: Encoded) -> Encoded:
    """The same tokens with only the last response marked: a test's gold answer."""
    starts = np.flatnonzero(row.response & ~np.r_[False, row.response[:-1]])
    kept = row.response.copy()
    if len(starts):
        kept[: starts[-1]] = False
    return Encoded(row.ids, kept)
