"""GSM8K without examples, as S2L asks it; `gsm8k.py` is the RDS+ paper's, and has a row.

Prompts, scoring and their source: `_mammoth.py`.
"""

from __future__ import annotations

from dataselect.tasks import Row, Source, Task
from dataselect.tasks._mammoth import by_program, zero_shot


def gsm8k_zero_shot() -> Task:
    """Zero-shot chain of thought; the number behind "The answer is"."""
    sources = {"test": Source("openai/gsm8k", "main", "test")}
    return zero_shot(sources, _question_and_answer, published=1_319)


def gsm8k_zero_shot_pot() -> Task:
    """Zero-shot program of thought."""
    return by_program(gsm8k_zero_shot())


def _question_and_answer(row: Row) -> tuple[str, str]:
    return row["question"].strip(), row["answer"].split("#### ")[-1].strip().replace(",", "")
