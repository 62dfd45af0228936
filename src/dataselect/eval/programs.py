"""The metrics that run what a model has generated, in the sandbox."""

from __future__ import annotations

import math
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from dataselect.errors import InputError
from dataselect.eval.metrics import kind_settings, last_number
from dataselect.eval.sandbox import Limits, run_program
from dataselect.machine import cores

#: Stands for the output in a test's `check`; without it, the check follows the output.
OUTPUT_MARK = re.compile(r"\{\{\s*output\s*\}\}")

#: A number as Python prints it: small and large ones with an exponent.
PRINTED = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+\b(?!.*\d)", re.DOTALL)


def pass_at_k(doc: dict[str, Any], outputs: list[list[str]]) -> dict[str, float]:
    """`pass@k` for each number in the kind's setting `k`: how likely one of k samples is right.

    A sample is right where the test's `check`, run with it, ends without an exception. The
    estimate from n samples is without bias: 1 − C(n − c, k) / C(n, k) where c are right (Chen et
    al. 2021, arXiv 2107.03374).

    Args:
        doc: the test.
        outputs: one list of all samples of it.

    Raises:
        InputError: there are fewer samples than some k, or the sandbox cannot be set up.
    """
    limits, samples = program_limits(doc), outputs[0]
    if not isinstance(samples, list):
        raise InputError(
            "eval_kinds: pass_at_k needs a list of all samples of a test; found one output. Add "
            "the filter `take_first_k` to the kind's file, as in eval_kinds/pass_at_k.yaml."
        )
    programs = [check_program(doc["check"], code_in(sample)) for sample in samples]
    ks = kind_settings(doc)["k"]
    if max(ks) > len(samples):
        raise InputError(
            f"eval_kinds: pass@{max(ks)} needs as many samples; found {len(samples)}. Raise "
            "`repeats` and `take_first_k` of the kind, or lower its `k`."
        )
    distinct = dict.fromkeys(programs)
    with ThreadPoolExecutor(cores()) as pool:
        results = pool.map(partial(passes, limits=limits), distinct)
        passed = dict(zip(distinct, results, strict=True))
    right = sum(passed[program] for program in programs)
    return {f"pass@{k}": unbiased_pass_at_k(len(samples), right, k) for k in ks}


def unbiased_pass_at_k(samples: int, right: int, k: int) -> float:
    """How likely at least one of k different samples is right, where `right` of all are."""
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def check_program(check: str, code: str) -> str:
    """The program that checks a code: a test's `check` with the code in it, or before it."""
    if OUTPUT_MARK.search(check):
        return OUTPUT_MARK.sub(lambda _: code, check, count=1)
    return f"{code}\n{check}"


def passes(program: str, limits: Limits) -> bool:
    """Whether a program comes to its end without an exception.

    A word that the program was not written with is printed at its end: one that leaves before,
    with a status of 0, has not passed.
    """
    word = secrets.token_hex(16)
    outcome = run_program(f"{program}\nprint('\\n{word}')\n", limits)
    return outcome.succeeded and outcome.output.endswith(f"\n{word}\n")


def program_of_thought(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`last_number`: whether the last number that the output prints, run as a program, is gold's.

    The kind's setting `relative_tolerance` says how far they may be apart, as a share of gold's.
    """
    outcome = run_program(code_in(outputs[0]), program_limits(doc))
    tolerance = kind_settings(doc).get("relative_tolerance", 1e-4)
    exponent = PRINTED.search(outcome.output)
    printed = float(exponent[0]) if exponent else last_number(outcome.output)
    golds = [last_number(text) for text in doc["answers"]]
    near = printed is not None and any(
        gold is not None and abs(printed - gold) <= tolerance * abs(gold) for gold in golds
    )
    return {"last_number": float(outcome.succeeded and near)}


def code_in(output: str) -> str:
    """The code of an output: its first block between ``` and ```; without a beginning, up to ```.

    >>> code_in("Here it is: ```python\\nx = 1\\n``` Bye")
    'x = 1\\n'
    >>> code_in("    return 1\\n```")
    '    return 1\\n'
    """
    fence = re.search(r"```(\w*)[ \t]*\n(.*?)(```|\Z)", output, re.DOTALL)
    if fence and (fence[1] or fence[3]):  # it names a language, or another one ends the block
        return fence[2]
    return output.split("```")[0]


def program_limits(doc: dict[str, Any]) -> Limits:
    """What a program that a test is scored by may use, by the settings of the test's kind."""
    settings = kind_settings(doc)
    if not settings.get("runs_code"):
        raise InputError(
            f"eval_kinds: the kind of `{doc['id']}` runs programs and does not say so. Add "
            "`metadata: {runs_code: true}` to its file."
        )
    return Limits(seconds=settings.get("seconds", Limits.seconds))
