"""SimulEq: word problems with simultaneous equations (Koncel-Kedziorski et al. 2016).

A row: {"question": "A writing workshop enrolls novelists and poets in a ratio of 5 to 3. There are
24 people at the workshop. How many novelists are there? How many poets are there?", "answer":
"15"}. A question may ask for several numbers; the gold answer is one of them, and the first number
of the output's answer is compared with it.

Prompts, scoring and source: `_mammoth.py`.
"""

from __future__ import annotations

from dataselect.tasks import Task
from dataselect.tasks._mammoth import by_program, mammoth_file, plain_fields, zero_shot


def simuleq() -> Task:
    """Zero-shot chain of thought; the number behind "The answer is"."""
    return zero_shot(mammoth_file("simuleq/simuleq.json"), plain_fields, published=514)


def simuleq_pot() -> Task:
    """Zero-shot program of thought."""
    return by_program(simuleq())
