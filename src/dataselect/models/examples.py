"""Conversations with a prefill, a format or a limit of their own: prompt and answer apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from dataselect.data.examples import Example
from dataselect.models.formats import built_in_template, tulu

if TYPE_CHECKING:
    from dataselect.data.tables import Message
    from dataselect.models.chat import Chat


class Renderer(Protocol):
    """What puts a prompt into a chat format: a `Chat` or a `Template`."""

    def prompt(self, row: list[Message]) -> str:
        """A conversation as text, up to where the assistant's next turn begins."""
        ...


def prompt_and_answer(renderer: Renderer, row: list[Message]) -> tuple[str, str | None]:
    """The text before the answer, with the prefill, and the answer as it is written.

    Args:
        row: a conversation; where it is an `Example`, its prefill and format count.

    Returns:
        As answer None where the last turn is not the assistant's.
    """
    is_answered = bool(row) and row[-1]["role"] == "assistant"
    before = list(row[:-1] if is_answered else row)
    prefill, is_raw = "", False
    if isinstance(row, Example):
        prefill, is_raw = row.prefill or "", row.format == "raw"
    prompt = "".join(turn["content"] for turn in before) if is_raw else renderer.prompt(before)
    return prompt + prefill, row[-1]["content"] if is_answered else None


def example_tokens(chat: Chat, row: Example) -> tuple[list[int], list[int], list[int]]:
    """The token ids of the prompt, of the answer, and the eos after it, without any limit.

    The answer's and the eos are empty where there is no answer; the eos also where the tokenizer
    has none.
    """
    prompt, answer_text = prompt_and_answer(chat, row)
    after = chat.tokens(answer_text, with_prefix=False) if answer_text else []
    eos = chat.tokenizer.eos_token_id
    return chat.tokens(prompt), after, [eos] if after and isinstance(eos, int) else []


def encode_example(chat: Chat, row: Example) -> tuple[list[int], np.ndarray, bool]:
    """Token ids, which of them are the answer's (bool, t), and whether `row.max_tokens` cut it.

    The eos after the answer does not count as the answer's.

    Source: the query code of hamishivi/automated-instruction-selection@df71a04, which limits
    prompt and answer each; LESS's queries (arXiv 2402.04333) have no gradient of an eos.
    """
    before, after, end = example_tokens(chat, row)
    length = len(before) + len(after) + len(end)
    kept = before[: row.max_tokens]
    ids = kept + (after + end)[: row.max_tokens]
    is_answer = np.zeros(len(ids), dtype=bool)
    is_answer[len(kept) : len(kept) + len(after)] = True
    return ids, is_answer, len(ids) < length


def tulu_text(row: list[Message]) -> tuple[str, str]:
    """A conversation in the Tülu format without eos tokens, or raw where it is a raw `Example`.

    Returns:
        The text, and what follows it: the answer of an `Example`, which is tokenised apart.
    """
    if not isinstance(row, Example):
        return tulu(row, eos="")[0], ""
    template = built_in_template("tulu", {"eos_token": ""}, "tulu")
    prompt, answer_text = prompt_and_answer(template, row)
    return prompt, answer_text or ""
