"""Refuses tests that the trained model could not read, before anything costs."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from dataselect.data.examples import Example, examples, own_limit
from dataselect.data.tables import Message
from dataselect.dedup.truncation import HEADER_BYTES, OPENING_BYTES
from dataselect.models.settings import TokenizerSettings


@dataclass(frozen=True)
class PromptLimits:
    """What eval leaves of the model's context to a prompt: see `EvalSettings`.

    Attributes:
        max_new_tokens: the longest output of a kind that does not limit its own.
        limit: how many tests of every task are used, the first ones; None: all.
    """

    max_new_tokens: int
    limit: int | None


def check_prompts(tests: pl.DataFrame, model: TokenizerSettings, limits: PromptLimits) -> None:
    """Checks that every prompt fits beside its output and answers, as eval does again.

    A token stands for at least one byte: where all tests have few bytes, no tokenizer is loaded.
    A tokenizer's own template may write any text; with it, every test is tokenised.

    Args:
        tests: a `tests` table with its kinds.
        model: the tokenizer of the model to be trained. Where its config.json is not here, or does
            not say how much the model reads, only limits of the tests' own are checked.

    Raises:
        InputError: a prompt does not fit.
    """
    from dataselect.eval.prompts import encode_prompts, output_lengths, used_tests
    from dataselect.models.chat import NO_LIMIT, load_chat
    from dataselect.models.config import read_config
    from dataselect.models.positions import context_length

    tests = used_tests(tests, limits.limit)
    outputs = output_lengths(tests, limits.max_new_tokens)
    context = context_length(read_config(model) or {}) if outputs else None
    columns = tests.select("task", "choices").iter_rows()
    opening = OPENING_BYTES.get(model.chat, 0)
    fit = (
        opening + _bytes(row, choices or []) + outputs[task] <= _limit(row, context)
        for row, (task, choices) in zip(examples(tests), columns, strict=True)
    )
    if tests.is_empty() or (model.chat != "model" and all(fit)):
        return
    chat = load_chat(model, max_tokens=NO_LIMIT)
    encode_prompts(chat, tests, outputs, context, "error")


def _limit(row: list[Message], context: int | None) -> float:
    return min(own_limit(row) or float("inf"), context or float("inf"))


def _bytes(row: list[Message], choices: list[str]) -> int:
    """An upper bound on the bytes of a test with its header, its prefill and its choices."""
    texts = [turn["content"] for turn in row] + choices
    texts.append((row.prefill or "") if isinstance(row, Example) else "")
    return sum(HEADER_BYTES + len(text.encode()) for text in texts)
