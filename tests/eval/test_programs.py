"""Kinds that run what was generated: the estimate, the program, and HumanEval's own examples."""

import json
import math
from itertools import combinations

import pytest

from dataselect.errors import InputError
from dataselect.eval.programs import (
    check_program,
    code_in,
    pass_at_k,
    passes,
    program_of_thought,
    unbiased_pass_at_k,
)
from dataselect.eval.sandbox import Limits
from tests.eval.test_sandbox import with_sandbox
from tests.helpers import mistake

#: The example problem and samples of the HumanEval repository, of which half are right.
PROBLEM = "def return1():\n"
CHECK = "def check(candidate):\n    assert candidate() == 1\n\ncheck(return1)"
SAMPLES = [
    "    import time\n    time.sleep(10)\n    return 1",
    "    return input('enter a number')",
    '    return json.loads("{}")',
    "    return 1",
    "  return 1",
    "\treturn 1",
]


def doc(gold="1", **settings):
    settings = {"runs_code": True, "seconds": 0.5, "k": [2, 1], **settings}
    check = f"{PROBLEM}{{{{ output }}}}\n{CHECK}"
    return {"id": "t", "answers": [gold], "check": check, "settings": json.dumps(settings)}


def test_the_estimate_is_that_of_all_choices_of_k():
    for right in range(6):
        samples = [True] * right + [False] * (5 - right)
        for k in range(1, 6):
            chosen = [any(some) for some in combinations(samples, k)]
            expected = sum(chosen) / len(chosen)
            assert unbiased_pass_at_k(5, right, k) == pytest.approx(expected)
    # The product of the published code
    assert unbiased_pass_at_k(10, 3, 5) == pytest.approx(
        1 - math.prod(1 - 5 / number for number in range(8, 11))
    )


def test_a_check_follows_the_code_or_says_where_it_goes():
    assert check_program("check(f)", "f = 1") == "f = 1\ncheck(f)"
    assert check_program("a\n{{ output }}\nb {{ output }}", "c") == "a\nc\nb {{ output }}"
    assert check_program("a {{output}}", "c\\1") == "a c\\1"


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("    return 1", "    return 1"),
        ("    return 1\n```", "    return 1\n"),
        ("    return 1\n```\nIt returns 1.", "    return 1\n"),
        ("Here:\n```python\nx = 1\n```\nBye", "x = 1\n"),
        ("Here:\n```\nx = 1\n```\n```\ny = 1\n```", "x = 1\n"),
        ("```py\nx = 1", "x = 1"),  # cut off
        ("", ""),
    ],
)
def test_the_code_of_an_output(output, code):
    assert code_in(output) == code


@with_sandbox
@pytest.mark.slow
def test_humanevals_own_examples():
    scores = pass_at_k(doc(), [SAMPLES])
    assert scores == {"pass@2": pytest.approx(1 - 3 / 15), "pass@1": pytest.approx(0.5)}


@with_sandbox
@pytest.mark.parametrize("leave", ["exit(0)", "import os; os._exit(0)", "raise SystemExit"])
def test_a_program_that_leaves_before_its_check_has_not_passed(leave):
    assert passes("assert True", Limits(seconds=1))
    assert not passes(f"{leave}\nassert False", Limits(seconds=1))


def test_more_samples_are_needed_than_k():
    with pytest.raises(InputError, match=r"pass@2 needs as many samples; found 1\. Raise"):
        pass_at_k(doc(), [SAMPLES[:1]])


def test_samples_must_be_a_list():
    message = mistake(pass_at_k, doc(k=[1]), ["return 1"])
    assert message.startswith("eval_kinds: pass_at_k needs a list of all samples")


def test_a_kind_that_does_not_say_that_it_runs_code_runs_none():
    with pytest.raises(InputError, match="the kind of `t` runs programs and does not say so"):
        pass_at_k(doc(runs_code=False), [SAMPLES])
    with pytest.raises(InputError, match="the kind of `t` runs programs and does not say so"):
        program_of_thought(doc(runs_code=False), ["print(1)"])


@with_sandbox
@pytest.mark.parametrize(
    ("program", "gold", "right"),
    [
        ("x = 3\nprint('so', x * 4)", "#### 12", 1),
        ("```python\nprint(0.1 + 0.2)\n```", "0.3", 1),
        ("print(1204.0)", "1,204", 1),
        ("print(12.01)", "12", 0),
        ("print(12)", "none", 0),
        ("x = 12", "12", 0),
        ("print(12)\nassert False", "12", 0),
        ("The answer is 12", "12", 0),
        ("print(0)", "0", 1),
        ("print(1e-5)", "0.00001", 1),
        ("print(1.2e20)", "120000000000000000000", 1),
        ("print(1e-5, 7)", "7", 1),
    ],
)
def test_the_last_number_that_a_program_prints(program, gold, right):
    test = doc(gold, relative_tolerance=1e-4)
    assert program_of_thought(test, [program]) == {"last_number": right}
