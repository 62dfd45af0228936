"""The tests' prompts and gold answers as tokens, within what the model can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from dataselect.data.examples import Example, examples, own_limit
from dataselect.errors import InputError, first_few
from dataselect.eval.task_kinds import output_setting, output_tokens
from dataselect.models.chat import NO_LIMIT, mark_last_response
from dataselect.models.examples import prompt_and_answer

if TYPE_CHECKING:
    import polars as pl

    from dataselect.data.tables import Message
    from dataselect.models.chat import Chat, Encoded

#: What happens to a prompt that does not fit: see `EvalSettings.long_prompts`.
LongPrompts = Literal["error", "truncate"]


class Prompt(NamedTuple):
    """The prompt of a test.

    Attributes:
        text: the prompt, up to where the model's answer begins.
        max_tokens: the most tokens that it may have: what the model can read, less the longest of
            the output, the gold answer and the choices.
        gold: the prompt as the model sees it and the gold answer, whose tokens are marked.
        truncated: whether the beginning of the prompt is cut off.
        apart: whether prompt and answer are tokenised apart: see `data.examples`.
        space: the white space that stands between prompt and answer: the gold answer's, or the
            template's.
    """

    text: str
    max_tokens: int
    gold: Encoded
    truncated: bool
    apart: bool
    space: str

    def split(self, chat: Chat, text: str, continuation: str) -> tuple[list[int], list[int]]:
        """The token ids of this prompt, or another text in its place, and of an answer."""
        is_spaced = continuation[:1].isspace() and not self.apart
        return chat.split(text, ("" if is_spaced else self.space) + continuation, apart=self.apart)


def used_tests(tests: pl.DataFrame, limit: int | None) -> pl.DataFrame:
    """The tests that are used: the first `limit` of every task; None: all."""
    return tests if limit is None else tests.group_by("task", maintain_order=True).head(limit)


def output_lengths(tests: pl.DataFrame, max_new_tokens: int) -> dict[str, int]:
    """Task → the longest output that is generated, in tokens.

    Args:
        tests: a `tests` table with its kinds.
        max_new_tokens: of a kind that does not limit its own.
    """
    kinds = tests.select("task", "kind").unique(maintain_order=True).iter_rows()
    return {task: output_tokens(kind, max_new_tokens) for task, kind in kinds}


def encode_prompts(
    chat: Chat,
    tests: pl.DataFrame,
    outputs: dict[str, int],
    context: int | None,
    long_prompts: LongPrompts,
) -> list[Prompt]:
    """The prompts of tests, in their order.

    Args:
        chat: an encoder without a limit of its own.
        tests: a `tests` table.
        outputs: task → the longest output that is generated, in tokens.
        context: the most tokens that the model reads; None: any number.
        long_prompts: `error` refuses a prompt that does not fit; `truncate` cuts off its beginning.

    Raises:
        InputError: a prompt does not fit, or an answer leaves no place for one.
    """
    limit = context or NO_LIMIT
    prompts, lengths = [], []
    columns = tests.select("task", "id", "choices", "kind").iter_rows()
    rows = examples(tests)
    encoded = chat.encode([_without_limit(row) for row in rows])
    for (task, name, choices, kind), row, ids in zip(columns, rows, encoded, strict=True):
        gold = mark_last_response(ids)
        text, answer_text = prompt_and_answer(chat, row)
        apart, start = isinstance(row, Example), _answer_start(gold)
        space = _leading_space(answer_text or "") if apart else chat.template.space
        prompt = Prompt(text, limit, gold, truncated=False, apart=apart, space=space)
        answers = [len(prompt.split(chat, text, choice)[1]) for choice in choices or ()]
        longest = max(len(gold.ids) - start, *answers, 0)
        needed = max(outputs[task], longest)
        if needed >= limit:
            setting = output_setting(kind) if outputs[task] > longest else None
            raise InputError(
                f"tests.path: `{name}` of {task}: output and answer need {needed:,} tokens; the "
                f"model reads {limit:,}. "
                + (f"Lower {setting}." if setting else "Shorten the answer.")
            )
        available = min(limit - needed, own_limit(row) or limit)
        lengths.append(max(len(chat.tokens(text)), start))
        gold = _truncate(gold, start, available, len(chat.prefix))
        truncated = lengths[-1] > available
        prompts.append(prompt._replace(max_tokens=available, gold=gold, truncated=truncated))
    if long_prompts == "error":
        _check(tests, prompts, lengths, limit)
    return prompts


def _without_limit(row: list[Message]) -> list[Message]:
    """The row without a limit of its own, which cuts off an end: here it is the beginning's."""
    if not isinstance(row, Example):
        return row
    return Example(row, prefill=row.prefill, format=row.format)


def _leading_space(text: str) -> str:
    return text[: len(text) - len(text.lstrip())]


def truncate_prompt(ids: list[int], max_tokens: int, prefix: int) -> list[int]:
    """The last tokens of a prompt, after the first `prefix`, which the tokenizer itself puts there.

    Args:
        ids: token ids.
        max_tokens: how many are kept.
        prefix: how many of the first are kept in any case, where there is a place for them.
    """
    if len(ids) <= max_tokens:
        return ids
    prefix = prefix if prefix < max_tokens else 0
    return ids[:prefix] + ids[len(ids) - (max_tokens - prefix) :]


def _answer_start(row: Encoded) -> int:
    """The number of the first marked token; that of all tokens where none is."""
    return int(row.response.argmax()) if row.response.any() else len(row.ids)


def _truncate(row: Encoded, start: int, max_tokens: int, prefix: int) -> Encoded:
    """The row with at most `max_tokens` tokens before `start`, as `truncate_prompt` keeps them."""
    kept = truncate_prompt(list(range(start)), max_tokens, prefix)
    numbers = np.asarray([*kept, *range(start, len(row.ids))], dtype=np.int64)
    return row._replace(ids=row.ids[numbers], response=row.response[numbers])


def _check(tests: pl.DataFrame, prompts: list[Prompt], lengths: list[int], limit: int) -> None:
    """Refuses prompts that do not fit into the model, or into a limit of their own."""
    columns = tests.select("task", "id", "kind").iter_rows()
    wrong, above_own, kinds = [], [], {}
    rows = zip(columns, examples(tests), prompts, lengths, strict=True)
    for (task, name, kind), row, prompt, length in rows:
        if not prompt.truncated:
            continue
        fitting, named = f"{prompt.max_tokens:,}", f"`{name}` of {task} ({length:,} tokens"
        if prompt.max_tokens == own_limit(row):
            above_own.append(f"{named}; its own `max_tokens` is {fitting})")
        else:
            wrong.append(f"{named}; at most {fitting} fit)")
            kinds[kind] = None
    if wrong:
        settings = dict.fromkeys(output_setting(kind) for kind in kinds)
        lower = "".join(f"lower {setting}, " for setting in settings if setting)
        raise InputError(
            f"tests.path: {len(wrong)} of {tests.height} prompts do not fit beside their answers "
            f"into the {limit:,} tokens that the model can read: {first_few(wrong)}. Shorten them, "
            f"{lower}choose a model that reads more, or set `eval.long_prompts: truncate`, which "
            "cuts off their beginnings."
        )
    if above_own:
        raise InputError(
            f"tests.path: {len(above_own)} of {tests.height} prompts are longer than their own "
            f"limit: {first_few(above_own)}. Shorten them, raise their `max_tokens`, or set "
            "`eval.long_prompts: truncate`, which cuts off their beginnings."
        )
