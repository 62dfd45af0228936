"""MAmmoTH's scoring of mathematical answers, with which S2L's six sets are scored.

Source: answer_clean in math_eval/utils.py and run_open.py of BigML-CS-UCLA/CoLM@395abfd, a later
release of S2L's authors for the same six sets; it is that of MAmmoTH (arXiv 2309.05653) but for the
limits, stop strings and what a program finds imported. Rewritten. Where it differs:

- A letter is looked for where the gold answer is one, there in every output of NumGLUE.
- A program runs as it is, in the sandbox, there inside a function; only where the task asks for
  programs, there wherever an output has `print(`. A block between ``` and ``` may stand anywhere.
- MATH's answers are compared by math-verify, there as texts or with a tolerance of 4 %.
"""

from __future__ import annotations

import re
from contextlib import suppress
from fractions import Fraction
from typing import Any

from dataselect.eval.metrics import kind_settings
from dataselect.eval.metrics import math as math_verify
from dataselect.eval.programs import code_in, program_limits
from dataselect.eval.sandbox import run_program

#: What an answer stands behind.
MARKS = ("####", "The answer is")

LETTER = re.compile(r"\b[A-E]\b")
NUMBER = re.compile(r"-?\d+/?\.?\d*")

#: What a program finds imported.
PRELUDE = """\
import math
from math import *
try:
    import numpy as np
except ImportError:
    pass
"""


def final_answer(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`exact_match`: whether the output's answer is a gold answer's text, as published.

    The answer is the first number behind the last "The answer is" or "####", else the last number;
    or a letter from A to E where the gold answer is one. `equal_value` also takes 7 for a gold
    answer 7.0 or [7], which as texts never match; the kind's setting `relative_tolerance` says how
    far numbers may be apart, as a share of gold's.
    """
    return _compare(doc, outputs[0])


def final_answer_of_program(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """The same of what the output prints, run as a program; without `print(` it is read as text.

    `answered` says whether there is an answer: where there is none, MAmmoTH asks again without
    programs (sql/hybrid.sql).
    """
    text = outputs[0]
    if _is_program(text):
        text = f"{MARKS[1]} {_printed(doc, text)}"
    answered = float(answer_in(text, is_letter=_has_letter(doc)) != "")
    return {**_compare(doc, text), "answered": answered}


def math_of_chain(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`math_verify`: whether the output's last expression, or what stands behind its last mark,
    equals a gold answer.

    An answer behind "The answer is" may stand there without the delimiters of LaTeX.
    """
    right = math_verify(doc, outputs)["math_verify"]
    *before, restated = re.split("|".join(MARKS), outputs[0])
    if not right and before:
        line = restated.strip(" :").partition("\n")[0].rstrip(". ")
        right = math_verify(doc, [f"${line}$"])["math_verify"] if "$" not in line else right
    return {"math_verify": right}


def math_of_program(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`math_verify` of what the output prints, run as a program; of its text without `print(`.

    A printed number may differ from gold's as in `final_answer`; `answered` is as there.
    """
    if not _is_program(outputs[0]):
        return {**math_of_chain(doc, outputs), "answered": float(outputs[0].strip() != "")}
    printed = _printed(doc, outputs[0]).strip()
    readings = [printed, f"${printed}$"]  # the second for sqrt(3), as sympy prints it
    right = any(math_verify(doc, [reading])["math_verify"] for reading in readings if printed)
    near = any(_near(printed, gold, doc) for gold in _values_of_latex(doc["answers"]))
    return {"math_verify": float(right or near), "answered": float(printed != "")}


def answer_in(text: str, *, is_letter: bool) -> str:
    """The answer that a text comes to; empty where it has none.

    >>> answer_in("3 + 4 = 7. The answer is 7.0 apples, not 8.", is_letter=False)
    '7'
    """
    if any(text.count(mark) > 1 for mark in MARKS):  # it goes on with questions of its own
        text = text.split("\n\n")[0]
    *before, text = re.split("|".join(MARKS), text)
    text = text.rpartition("=")[2]
    found = LETTER.findall(text.upper()) if is_letter else []
    found = found or NUMBER.findall(text.replace(",", ""))
    return _plain(found[0 if before else -1]) if found else ""


def _plain(number: str) -> str:
    """A number without zeros and points at its end."""
    try:
        value = float(number)
    except ValueError:
        return number.removesuffix(".").removesuffix("/")
    return str(int(value)) if value.is_integer() else str(value)


def _compare(doc: dict[str, Any], text: str) -> dict[str, float]:
    found = answer_in(text, is_letter=_has_letter(doc))
    exact = found in doc["answers"]
    equal = exact or any(_near(found, gold.strip("[]"), doc) for gold in doc["answers"])
    return {"exact_match": float(exact), "equal_value": float(equal)}


def _has_letter(doc: dict[str, Any]) -> bool:
    return any(LETTER.fullmatch(gold) for gold in doc["answers"])


def _near(found: str, gold: str, doc: dict[str, Any]) -> bool:
    tolerance = kind_settings(doc).get("relative_tolerance", 1e-4)
    with suppress(ValueError, ZeroDivisionError):
        expected = Fraction(gold)
        return abs(Fraction(found) - expected) <= tolerance * abs(expected)
    return False


def _values_of_latex(golds: list[str]) -> list[str]:
    """The gold answers that are numbers, as decimals."""
    from math_verify import parse

    expressions = [parse(f"${gold}$") for gold in golds]
    numbers = [found[0] for found in expressions if found and hasattr(found[0], "is_real")]
    return [str(float(number)) for number in numbers if number.is_number and number.is_real]


def _is_program(output: str) -> bool:
    return "print(" in output


def _printed(doc: dict[str, Any], output: str) -> str:
    """What an output prints, run as a program; nothing where it fails."""
    outcome = run_program(PRELUDE + code_in(output), program_limits(doc))
    return outcome.output if outcome.succeeded else ""
