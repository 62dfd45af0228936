"""Which kind every task is scored by."""

import shutil

import polars as pl
import pytest

from dataselect.errors import InputError
from dataselect.eval.task_kinds import task_kinds
from tests.helpers import ROOT

SCHEMA = {"task": pl.String, "id": pl.String, "answer": pl.String}
SCHEMA |= {"choices": pl.List(pl.String), "kind": pl.String}
SCHEMA |= {"answers": pl.List(pl.String)}


@pytest.fixture(autouse=True)
def home(in_scratch):
    shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")


def table(*rows):
    """Tests of (task, id, answer, choices, kind) and, where there are several, answers."""
    rows = [(*row, None)[:6] for row in rows]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_a_kind_is_set_or_named_by_the_tests_or_guessed():
    tests = table(
        ("plain", "1", "a", None, None),
        ("choice", "1", "a", ["a", "b"], None),
        ("named", "1", "1", None, "last_number"),
        ("set", "1", "1", None, "last_number"),
    )
    assert task_kinds(tests, {"set": "exact_match"}) == {
        "plain": "exact_match",
        "choice": "multiple_choice",
        "named": "last_number",
        "set": "exact_match",
    }
    with pytest.raises(InputError, match=r"no kind is called `exact`\. Did you mean `exact_match`"):
        task_kinds(tests, {"plain": "exact"})
    with pytest.raises(InputError, match=r"eval.kinds: `sett` has no tests. Did you mean `set`"):
        task_kinds(tests, {"sett": "exact_match"})


def test_multiple_choice_is_guessed_only_where_every_test_has_choices():
    tests = table(("t", "1", "a", ["a", "b"], None), ("t", "2", "a", None, None))
    assert task_kinds(tests, {}) == {"t": "exact_match"}


def test_a_task_has_one_kind():
    two = table(("t", "1", "1", None, "last_number"), ("t", "2", "1", None, "own"))
    with pytest.raises(InputError, match="expected one kind, found last_number, own"):
        task_kinds(two, {})


def test_the_answer_of_multiple_choice_is_among_the_choices():
    with pytest.raises(InputError, match="'c' is not among the choices"):
        task_kinds(table(("t", "1", "c", ["a", "b"], None)), {})
    with pytest.raises(InputError, match="'c' is not among the choices"):
        task_kinds(table(("t", "1", "a", ["a", "b"], None, ["a", "c"])), {})
