"""Mathematics: DeepMind's generated school questions (arXiv 1904.01557), in MAmmoTH's selection.

A row: {"question": "What is 451 to the power of 1/10, to the nearest integer?", "answer": "2"}. Of
the 1,000 answers 139 have a form, such as 1363.0, [3] or -20*x, that the published scorer never
matches; `equal_value` counts those that are a single number.

Prompts, scoring and source: `_mammoth.py`.
"""

from __future__ import annotations

from dataselect.tasks import Task
from dataselect.tasks._mammoth import by_program, mammoth_file, plain_fields, zero_shot


def mathematics() -> Task:
    """Zero-shot chain of thought; the number behind "The answer is"."""
    return zero_shot(mammoth_file("deepmind/deepmind.json"), plain_fields, published=1_000)


def mathematics_pot() -> Task:
    """Zero-shot program of thought."""
    return by_program(mathematics())
