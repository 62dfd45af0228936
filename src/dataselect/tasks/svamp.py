"""SVAMP: sums in words, varied so that shortcuts fail (arXiv 2103.07191).

A row: {"ID": "chal-1", "Body": "Each pack of dvds costs 76 dollars. If there is a discount of 25
dollars on each pack", "Question": "How much do you have to pay to buy each pack?", "Equation": "(
76.0 - 25.0 )", "Answer": 51.0, "Type": "Subtraction"}. All 1,000 rows are tests.

Prompts, scoring and source: `_mammoth.py`.
"""

from __future__ import annotations

from dataselect.tasks import Row, Task
from dataselect.tasks._mammoth import by_program, mammoth_file, zero_shot


def svamp() -> Task:
    """Zero-shot chain of thought; the number behind "The answer is"."""
    return zero_shot(mammoth_file("SVAMP/SVAMP.json"), _question_and_answer, published=1_000)


def svamp_pot() -> Task:
    """Zero-shot program of thought."""
    return by_program(svamp())


def _question_and_answer(row: Row) -> tuple[str, str]:
    gold = str(row["Answer"]).removesuffix(".0")
    return f"{row['Body'].strip()} {row['Question'].strip()}", gold
