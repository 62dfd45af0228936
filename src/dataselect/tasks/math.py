"""MATH: problems of competitions at school (arXiv 2103.03874), in LaTeX.

A row: {"problem": "How many vertical asymptotes does the graph of $y=\\\\frac{2}{x^2+x-6}$ have?",
"level": "Level 3", "type": "Algebra", "solution": "The denominator of the rational function factors
into $x^2+x-6=(x-2)(x+3)$. Since the numerator is always nonzero, there is a vertical asymptote
whenever the denominator is $0$, which occurs for $x = 2$ and $x = -3$.  Therefore, the graph has
$\\\\boxed{2}$ vertical asymptotes."}. The gold answer is what the last box has: all 5,000 solutions
have one.

Prompts and their source: `_mammoth.py`. Scored by math-verify, MAmmoTH's own comparison takes a
number that is up to 4 % off. The data set's configs, columns and numbers of rows are those of its
card; it was not fetched.
"""

from __future__ import annotations

from dataselect.tasks import Row, Source, Task
from dataselect.tasks._mammoth import by_program, zero_shot

SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


def math() -> Task:
    """Zero-shot chain of thought; the value of the output's last expression."""
    sources = {name: Source("EleutherAI/hendrycks_math", name, "test") for name in SUBJECTS}
    return zero_shot(sources, _question_and_answer, published=5_000, kind="mammoth_math")


def math_pot() -> Task:
    """Zero-shot program of thought."""
    return by_program(math())


def _question_and_answer(row: Row) -> tuple[str, str]:
    return row["problem"], boxed(row["solution"])


def boxed(solution: str) -> str:
    """What stands in the last box of a solution, in LaTeX.

    Raises:
        KeyError: there is none, or it is not closed.

    >>> boxed(r"so \\boxed{1} and \\boxed{\\frac{1}{2}}.")
    '\\\\frac{1}{2}'
    """
    text = solution.rpartition("\\boxed{")[2]
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[:place]
    raise KeyError("solution without a box")
