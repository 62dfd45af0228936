"""The scoring of S2L's six sets, by hand."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dataselect.eval.mammoth import (
    answer_in,
    final_answer,
    final_answer_of_program,
    math_of_chain,
    math_of_program,
)
from dataselect.eval.run import evaluate
from dataselect.eval.task_kinds import kind_metadata
from tests.eval.test_kinds import OPTIONS, change, made_tests
from tests.eval.test_sandbox import with_sandbox
from tests.helpers import MODEL, ROOT


def doc(gold, **settings):
    settings = {"runs_code": True, "seconds": 2, **settings}
    return {"id": "t", "answers": [gold], "settings": json.dumps(settings)}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 7.", "7"),
        ("5 + 2 = 7. The answer is 7 apples, not 8.", "7"),  # the first behind the last mark
        ("The answer is $1,204.50", "1204.5"),
        ("so #### 12.0", "12"),
        ("2 of 3, so 5 are left, or 20-15", "-15"),  # without a mark the last; the minus counts
        ("The answer is x = 3/4", "3/4"),
        ("The answer is y = 3 or x = 4", "4"),  # behind the last equals sign
        ("The answer is 3 / 4", "3"),
        ("The answer is 5/", "5"),
        ("The answer is .5", "5"),  # as published
        ("The answer is 1.\n\nAnd 2. The answer is 3.", "1"),  # it goes on with other questions
        ("The answer is 1. The answer is 3.", "3"),
        ("The answer is seven.", ""),
        ("", ""),
    ],
)
def test_the_answer_of_a_text(text, answer):
    assert answer_in(text, is_letter=False) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is (B) tree.", "B"),
        ("The answer is b.", "B"),
        ("A is less, so B", "B"),
        ("The answer is 2", "2"),
        ("The answer is Bob", ""),
    ],
)
def test_the_letter_of_a_text(text, answer):
    assert answer_in(text, is_letter=True) == answer


@pytest.mark.parametrize(
    ("gold", "output", "exact", "equal"),
    [
        ("15", "There are 15. The answer is 15 and 9.", 1, 1),
        ("15", "The answer is 9", 0, 0),
        ("B", "The answer is (B)", 1, 1),
        ("B", "The answer is 2", 0, 0),
        ("1363.0", "The answer is 1363.0", 0, 1),  # as published: 1363 is not its text
        ("[3]", "The answer is [3].", 0, 1),
        ("[3, 5]", "The answer is [3, 5].", 0, 0),
        ("-20*x", "The answer is -20*x.", 0, 0),
        ("583.3333", "The answer is 583.33333", 0, 1),
        ("583.3333", "The answer is 583.5", 0, 0),
        ("0.75", "The answer is 3/4.", 0, 1),
        ("0.75", "The answer is 3/0.", 0, 0),
        ("0", "The answer is 0.0", 1, 1),
        ("August", "The answer is August.", 0, 0),
    ],
)
def test_an_answer_is_compared_as_a_text_and_as_a_number(gold, output, exact, equal):
    assert final_answer(doc(gold), [output]) == {"exact_match": exact, "equal_value": equal}


@pytest.mark.parametrize(
    ("output", "right"),
    [
        (r"So the area is \boxed{2250\pi}.", True),
        (r"The answer is 2250\pi.", True),
        (r"The answer is $2250\pi$.", True),
        (r"#### 2250\pi" + "\nThat is all.", True),
        (r"The answer is 2251\pi.", False),
        (r"It is 2250\pi, or not. The answer is 7.", False),
    ],
)
def test_an_answer_that_is_restated_needs_no_delimiters(output, right):
    assert math_of_chain(doc(r"2250\pi"), [output]) == {"math_verify": float(right)}


@with_sandbox
@pytest.mark.slow
@pytest.mark.parametrize(
    ("gold", "output", "exact", "answered"),
    [
        ("15", "x = 24 * 5 / 8\ny = 24 - x\nprint(x, y)", 1, 1),  # the first number
        ("15", "Here it is:\n```python\nprint(15)\n```\nBye", 1, 1),
        ("2", "print(sqrt(4), floor(2.5))", 1, 1),  # math is imported
        ("15", "print(15)\nraise ValueError", 0, 0),  # what a failing program printed is nothing
        ("15", "print('none')", 0, 0),
        ("15", "I print nothing. The answer is 15.", 1, 1),  # no program
        ("B", "print('B')", 1, 1),
        ("15", "print('x = 15')", 1, 1),
    ],
)
def test_what_a_program_prints_is_the_answer(gold, output, exact, answered):
    scores = final_answer_of_program(doc(gold), [output])
    assert scores == {"exact_match": exact, "equal_value": exact, "answered": answered}


@with_sandbox
@pytest.mark.slow
@pytest.mark.parametrize(
    ("gold", "output", "right", "answered"),
    [
        (r"\frac{1}{3}", "print(1 / 3)", 1, 1),
        (r"\frac{1}{3}", "from fractions import Fraction\nprint(Fraction(1, 3))", 1, 1),
        (r"\frac{1}{3}", "print(0.34)", 0, 1),
        (r"\sqrt{3}", "print('sqrt(3)')", 1, 1),  # as sympy prints it
        ("2", "print(2.0000000001)", 1, 1),
        ("2", "print(2.1)", 0, 1),  # published: 2
        ("100000", "print(1e5)", 1, 1),
        ("2", "print(2", 0, 0),
        ("2", "So it is $2$.", 1, 1),  # no program
        ("2", "", 0, 0),
        (r"x^2 + 1", "print(3)", 0, 1),
    ],
)
def test_what_a_program_prints_has_the_value_of_latex(gold, output, right, answered):
    pytest.importorskip("math_verify")
    scores = math_of_program(doc(gold), [output])
    assert scores == {"math_verify": right, "answered": answered}


@with_sandbox
@pytest.mark.slow
def test_the_kinds_name_their_metrics(in_scratch):
    pytest.importorskip("math_verify")
    shutil.copytree(ROOT / "eval_kinds", Path("eval_kinds"))
    kinds = {
        "mammoth": ["exact_match", "equal_value"],
        "mammoth_pot": ["exact_match", "equal_value", "answered"],
        "mammoth_math": ["math_verify"],
        "mammoth_math_pot": ["math_verify", "answered"],
    }
    for kind, (score, *others) in kinds.items():
        change(kind, ("max_gen_toks: 1024", "max_gen_toks: 6"))
        assert bool(kind_metadata(kind).get("runs_code")) == kind.endswith("_pot")
        tests = made_tests(kind, ("Name a colour.", "7"))
        (row,) = evaluate(MODEL, tests, replace(OPTIONS, run_code=True)).to_dicts()
        assert (row["metric"], row["value"]) == (score, 0.0)
        assert [other["metric"] for other in row["other_metrics"] or []] == others
