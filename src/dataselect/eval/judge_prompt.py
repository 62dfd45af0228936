"""The question to a judge about two outputs, their order, and how the answer is read."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge

from dataselect.errors import InputError
from dataselect.settings import PositiveInt, check_settings

#: What a prompt must have: the test's instruction, and the outputs in the order of `model_first`.
PLACES = ("{instruction}", "{output_1}", "{output_2}")


@dataclass(frozen=True, kw_only=True)
class JudgePrompt:
    """The block `metadata.judge` of a kind's file.

    Attributes:
        user: the question, with `{instruction}`, `{output_1}` and `{output_2}`; its answer ranks
            `model_1` and `model_2`.
        system: the system turn before it, if any.
        max_tokens: the longest answer.
        temperature: of the judge.
    """

    user: str
    system: str | None = None
    max_tokens: PositiveInt = 100
    temperature: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True)
class Pair:
    """Two outputs for an instruction.

    Attributes:
        instruction: the test's prompt.
        output: the model's output.
        reference: the output that it is compared with.
    """

    instruction: str
    output: str
    reference: str


def read_prompt(block: dict[str, Any], where: str) -> JudgePrompt:
    """The block `judge` of a kind's `metadata`.

    Args:
        where: the block's place, for messages.

    Raises:
        InputError: a setting is wrong, or the question lacks one of `PLACES`.
    """
    prompt = JudgePrompt(**check_settings(JudgePrompt, block, where))
    lacking = [place for place in PLACES if place not in prompt.user]
    if lacking:
        raise InputError(f"{where}.user: expected {', '.join(lacking)} in it. Add them.")
    return prompt


def model_first(instruction: str) -> bool:
    """Whether the model's output stands first: by chance, always the same for an instruction.

    The same draw as alpaca_eval's at its default seed, 0. Source: tatsu-lab/alpaca_eval@cd543a1,
    processors.py (`RandomSwitchTwoColumnsProcessor`), annotators/base.py; equal for the 801
    published annotations of text-davinci-003 that have the judge's own answer.
    """
    return random.Random(f"is_switched_outputs{instruction}0").choices([False, True], k=1)[0]


def messages(prompt: JudgePrompt, pair: Pair) -> list[dict[str, str]]:
    """The question about a pair, as turns."""
    outputs = [pair.reference, pair.output]
    if model_first(pair.instruction):
        outputs.reverse()
    texts = dict(zip(PLACES, (pair.instruction, *outputs), strict=True))
    # All at once: a text that goes in may itself contain the name of a place.
    question = re.sub("|".join(map(re.escape, PLACES)), lambda found: texts[found[0]], prompt.user)
    system = [{"role": "system", "content": prompt.system.strip()}] if prompt.system else []
    return [*system, {"role": "user", "content": question.strip()}]


def preference(text: str, instruction: str) -> float | None:
    """1 where the judge prefers the model's output, 0 where the reference; None: not understood.

    As alpaca_eval's `ranking_parser`: the rank of the first entry for `model_1`, 1 or 2, in a list
    of entries with `model` and `rank`. Other text around the list does not matter here.

    Args:
        text: the judge's answer.
        instruction: that of the pair, which decides the order.
    """
    found = re.search(r"\[.*\]", text, re.DOTALL)
    try:
        entries = ast.literal_eval(found[0]) if found else []
        rank = next(entry["rank"] for entry in entries if entry["model"] == "model_1")
    except (ValueError, SyntaxError, TypeError, KeyError, StopIteration, MemoryError,
            RecursionError):  # fmt: skip
        return None
    if rank not in (1, 2):
        return None
    return float((rank == 1) == model_first(instruction))


def win_rate(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """The metric of a judged kind as lm-eval calls it: NaN; `evaluate_and_judge` asks the judge."""
    return {"win_rate": float("nan")}
