"""Conversations → token ids and the response mask: for scoring, training and evaluation alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np

from dataselect.compute.prefetch import batched, prefetch
from dataselect.data.examples import Example
from dataselect.errors import InputError, is_librarys
from dataselect.models.batches import blocks_by_length
from dataselect.models.examples import encode_example
from dataselect.models.formats import built_in_template, tulu
from dataselect.models.rendering import template_source
from dataselect.models.templates import SINGLE_TURN, Template, TemplateRejected, with_fixed_date
from dataselect.models.tokens import Encoded, Tokens, mark_last_response

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from dataselect.data.tables import Message
    from dataselect.models.settings import TokenizerSettings
    from dataselect.models.templates import Spans

__all__ = ["Chat", "Encoded", "TemplateRejected", "load_chat", "mark_last_response", "tulu"]

#: Rows that are tokenised together. Until they are arrays, tokens and their offsets are Python
#: objects of some two hundred bytes a token.
ROWS_PER_BLOCK = 256

#: A `max_tokens` that is longer than any conversation.
NO_LIMIT = 2**31


class Chat:
    """Encodes conversations for one tokenizer.

    Args:
        template: the chat format, see `TokenizerSettings`.
        max_tokens: a conversation longer than this loses its end.

    Attributes:
        template: of the chat format.
        prefix: the token ids that the tokenizer itself puts before a text, such as a BOS. They are
            put before a conversation unless the template has written them already.

    Raises:
        InputError: the tokenizer has no character offsets (only "fast" tokenizers have), no eos,
            or no chat template where its own is wanted.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: Literal["tulu", "alpaca", "model"],
        max_tokens: int,
    ) -> None:
        name = tokenizer.name_or_path
        if not tokenizer.is_fast:
            raise InputError(
                f"model.name: {name}: expected a fast tokenizer; found a slow one, which has no "
                "character offsets. Set another model."
            )
        if template != "model" and not isinstance(tokenizer.eos_token, str):
            raise InputError(
                f"model.name: {name}: the tokenizer has no eos token, which ends a response with "
                f"`chat: {template}`. Add tokenizer_config.json, which names it, if it is missing; "
                "set `model.chat: model`, or another model."
            )
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        special_tokens = dict(tokenizer.special_tokens_map)
        self.template = (
            Template(with_fixed_date(template_source(tokenizer, name)), special_tokens, name)
            if template == "model"
            else built_in_template(template, special_tokens, name)
        )
        self.prefix: list[int] = _prefix(tokenizer)

    @property
    def jinja_template(self) -> str:
        """The chat template to save with a model trained on these tokens.

        transformers' `apply_chat_template` adds no BOS of its own: where the tokenizer does and
        the template does not, this one writes it.
        """
        written = "".join(self.tokenizer.convert_ids_to_tokens(self.prefix))
        try:
            starts_right = self.template.prompt(SINGLE_TURN).startswith(written)
        except TemplateRejected:
            return self.template.source
        return self.template.source if starts_right else written + self.template.source

    def encode(self, rows: list[list[Message]]) -> list[Encoded]:
        """Token ids and response masks, in the order of the rows.

        Raises:
            TemplateRejected: the tokenizer's own template rejects a conversation.
        """
        return [row for block in batched(rows, ROWS_PER_BLOCK) for row in self._encode(block)]

    def encode_by_length(
        self,
        rows: list[list[Message]],
        encode: Callable[[list[list[Message]]], list[Encoded]] | None = None,
    ) -> Iterator[tuple[np.ndarray, list[Encoded]]]:
        """Blocks of rows of like length, longest first: row numbers (int64), and encoded rows.

        A thread tokenises the next block while the caller works on the last.

        Args:
            encode: encodes a block; None: whole conversations, as `encode` does.
        """
        encode = encode or self._encode
        blocks = blocks_by_length(rows, ROWS_PER_BLOCK)
        return prefetch((block, encode([rows[i] for i in block])) for block in blocks)

    def render(self, row: list[Message]) -> tuple[str, Spans]:
        """A conversation as text, and the character spans of its responses.

        Raises:
            TemplateRejected: the tokenizer's own template rejects the conversation.
        """
        return self.template.render(row)

    def prompt(self, row: list[Message]) -> str:
        """A conversation as text, up to where the assistant's next turn begins.

        Raises:
            TemplateRejected: the tokenizer's own template rejects the conversation.
        """
        return self.template.prompt(row)

    @property
    def opening(self) -> str:
        """What a response alone follows: a BOS where the template writes it, and the header.

        Raises:
            TemplateRejected: the tokenizer's own template rejects a single user turn.
        """
        return self.template.opening

    def tokens(self, text: str, *, with_prefix: bool = True) -> list[int]:
        """The token ids of a text that a template has made, with the tokenizer's own prefix."""
        ids = self.tokenize([text])[0].ids
        return self._with_prefix(ids) if with_prefix else ids

    def split(
        self, context: str, continuation: str, *, apart: bool = False
    ) -> tuple[list[int], list[int]]:
        """The token ids of a text in two parts: all tokens with a character of the second are its.

        The two are tokenised as one text, as a conversation is: a tokenizer may merge characters
        of both into one token. With `apart` each is tokenised alone, as in an `Example`.
        """
        if apart:
            return self.tokens(context), self.tokens(continuation, with_prefix=False)
        tokens = self.tokenize([context + continuation])[0]
        start = tokens.within((len(context), len(context))).start
        return self._with_prefix(tokens.ids[:start]), tokens.ids[start:]

    def _with_prefix(self, ids: list[int]) -> list[int]:
        return ids if ids[: len(self.prefix)] == self.prefix else self.prefix + ids

    def tokenize(self, texts: list[str]) -> list[Tokens]:
        """Token ids of texts as they are, and the characters that each token covers."""
        batch = self.tokenizer(
            texts,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        return [
            Tokens(*row) for row in zip(batch["input_ids"], batch["offset_mapping"], strict=True)
        ]

    def finish(self, ids: list[int], response: np.ndarray, truncated: bool = False) -> Encoded:
        """The token ids behind the prefix, which is added where it lacks, up to `max_tokens`.

        Args:
            response: which tokens are the responses' (bool, t).
            truncated: whether tokens are missing already.
        """
        written = len(ids)
        ids = self._with_prefix(ids)
        response = np.concatenate([np.zeros(len(ids) - written, dtype=bool), response])
        limit = self.max_tokens
        kept = np.asarray(ids[:limit], dtype=np.int32)
        return Encoded(kept, response[:limit], truncated=truncated or len(ids) > limit)

    def _encode(self, rows: list[list[Message]]) -> list[Encoded]:
        together = iter(self._encode_together([r for r in rows if not isinstance(r, Example)]))
        return [
            self.finish(*encode_example(self, row)) if isinstance(row, Example) else next(together)
            for row in rows
        ]

    def _encode_together(self, rows: list[list[Message]]) -> list[Encoded]:
        if not rows:
            return []
        rendered = [self.render(row) for row in rows]
        # transformers' own step from characters to tokens, in `apply_chat_template`, is wrong in
        # places: where no token holds a span's last character it marks all that follows, and of a
        # last character in several tokens only the first (huggingface/transformers#47325).
        encoded = []
        for tokens, (_, spans) in zip(
            self.tokenize([text for text, _ in rendered]), rendered, strict=True
        ):
            response = np.zeros(len(tokens.ids), dtype=bool)
            for span in spans:
                response[tokens.within(span)] = True
            encoded.append(self.finish(tokens.ids, response))
        return encoded


def load_chat(model: TokenizerSettings, max_tokens: int | None = None) -> Chat:
    """The encoder of a model's tokenizer.

    Args:
        max_tokens: None: the model's own `max_tokens`.

    Raises:
        InputError: the tokenizer cannot be loaded, or lacks something (see `Chat`).
    """
    from dataselect.models.load import load_tokenizer

    limit = model.max_tokens if max_tokens is None else max_tokens
    return Chat(load_tokenizer(model), model.chat, limit)


def _prefix(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    try:
        bare = tokenizer("a", add_special_tokens=False)["input_ids"]
        full = tokenizer("a")["input_ids"]
    except BaseException as error:  # of any type: settings of the tokenizer may be anything
        if not is_librarys(error):
            raise
        raise InputError(
            f"model.name: {tokenizer.name_or_path}: the tokenizer cannot encode a text "
            f"({type(error).__name__}: {error}). Check its tokenizer_config.json and "
            "tokenizer.json."
        ) from None
    return list(full[: full.index(bare[0])]) if bare and bare[0] in full else []
