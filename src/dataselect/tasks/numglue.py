"""NumGLUE: sums, chemistry and physics in words (arXiv 2204.05660), in MAmmoTH's selection.

Rows: {"question": "What is the molecular weight of 8 moles of Citric acid", "answer": 1536, "type":
"Type_2"}; {"question": "A spider's temperature becomes 37 C while scurrying across a tree, it
becomes 74 F while scurrying across a web. This means the _____ offers more resistance? \\nAnswer
Choices: (A) web (B) tree", "answer": "B", "type": "Type_3"}. Of the 1,042 answers 877 are numbers,
162 letters, and 3 words, which the published scorer never matches: August, Friday, October.

Prompts, scoring and source: `_mammoth.py`.
"""

from __future__ import annotations

from dataselect.tasks import Task
from dataselect.tasks._mammoth import by_program, mammoth_file, plain_fields, zero_shot


def numglue() -> Task:
    """Zero-shot chain of thought; the number or letter behind "The answer is"."""
    return zero_shot(mammoth_file("numglue/numglue.json"), plain_fields, published=1_042)


def numglue_pot() -> Task:
    """Zero-shot program of thought."""
    return by_program(numglue())
