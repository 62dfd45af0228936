"""Which kind every task is scored by."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from dataselect.errors import InputError
from dataselect.eval.task_kinds import check_kind, output_tokens, task_kinds
from tests.helpers import ROOT, mistake

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


def test_an_empty_choice_is_refused_with_its_test():
    assert mistake(task_kinds, table(("t", "1", "x", ["", "x"], None)), {}) == (
        "tests.path: `1` of t: expected text in every choice, found an empty one among ['', 'x']. "
        "Fix the row."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "eval_kinds/own.yaml: not YAML: while parsing a flow node"),
        ("- a", "eval_kinds/own.yaml: expected lines of `name: value`, as of an lm-eval task; "),
        ("", "eval_kinds/own.yaml: expected lines of `name: value`, as of an lm-eval task; "),
        (b"a: \xff", "eval_kinds/own.yaml: not YAML: "),
        (
            "generation_kwargs: [a]",
            "eval_kinds/own.yaml: generation_kwargs: expected lines of `name: value`, found ['a']",
        ),
        *(
            (
                f"generation_kwargs: {{max_gen_toks: {value}}}",
                "eval_kinds/own.yaml: generation_kwargs: max_gen_toks: expected a whole number "
                f"from 1 on, found {found}. Fix the file.",
            )
            for value, found in (("abc", "'abc'"), ("0", "0"), ("true", "True"), ("2.5", "2.5"))
        ),
    ],
)
def test_a_kinds_file_that_cannot_be_read_is_refused_before_anything_runs(home, content, message):
    content = content if isinstance(content, bytes) else content.encode()
    Path("eval_kinds/own.yaml").write_bytes(content)
    assert mistake(check_kind, "own", "eval.kinds.t").startswith(message)
    assert mistake(task_kinds, table(("t", "1", "a", None, "own")), {}).startswith(message)


def test_the_longest_output_is_the_kinds_own_or_the_settings():
    assert output_tokens("exact_match", 7) == 7
    assert output_tokens("multiple_choice", 7) == 0
    Path("eval_kinds/own.yaml").write_text(
        "output_type: generate_until\ngeneration_kwargs: {max_new_tokens: 3, until: !function a.b}"
    )
    assert output_tokens("own", 7) == 3
