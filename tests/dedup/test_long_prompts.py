"""Tests whose prompts do not fit are refused before anything costs, with eval's own message."""

import shutil

import polars as pl
import pytest

from dataselect.dedup.long_prompts import PromptLimits, check_prompts
from dataselect.dedup.tasks import read_tests
from dataselect.eval.run import EvalOptions, evaluate
from tests.dedup import row, write
from tests.helpers import ROOT, merging_model, mistake

LONG = "one two three " * 40


@pytest.fixture
def model(in_scratch):
    """A model that reads 256 tokens."""
    shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")
    return merging_model(in_scratch / "model")


def table_of(*rows, kind="exact_match"):
    frame = read_tests([write("t.jsonl", rows)], "all")
    return frame.with_columns(kind=pl.lit(kind))


@pytest.mark.parametrize("kind", ["exact_match", "multiple_choice"])
@pytest.mark.parametrize("columns", [{}, {"format": "raw"}])
def test_a_long_prompt_is_refused_as_eval_refuses_it(model, kind, columns):
    rows = [row(text, "A", choices=["A", "B"], **columns) for text in ("1?", LONG)]
    tests = table_of(*rows, kind=kind)
    message = mistake(check_prompts, tests, model, PromptLimits(8, None))
    assert message.startswith("tests.path: 1 of 2 prompts do not fit")
    options = EvalOptions(8, 1, "error", None, None)
    assert message == mistake(evaluate, model, tests, options)
    check_prompts(tests, model, PromptLimits(8, 1))  # eval takes the first alone


def test_the_output_the_choices_and_a_limit_of_its_own_count(model):
    check_prompts(table_of(row("word " * 20, "A")), model, PromptLimits(8, None))
    message = mistake(check_prompts, table_of(row("1?", "A")), model, PromptLimits(250, None))
    assert "do not fit" in message
    own = table_of(row("word " * 20, "A", max_tokens=20))
    assert "its own `max_tokens` is 20)" in mistake(
        check_prompts, own, model, PromptLimits(8, None)
    )
    choices = table_of(row("1?", "A", choices=["A", LONG]), kind="multiple_choice")
    assert "tests.path: " in mistake(check_prompts, choices, model, PromptLimits(8, None))


def test_no_tokenizer_is_loaded_for_short_tests_or_none(model):
    for path in (ROOT / model.name).glob("tokenizer*"):
        path.unlink()
    check_prompts(table_of(row("1?", "A")), model, PromptLimits(8, None))
    check_prompts(table_of(row("1?", "A"))[:0], model, PromptLimits(8, None))


def test_a_context_that_is_not_known_limits_nothing(model):
    (ROOT / model.name / "config.json").write_text('{"model_type": "own"}')
    check_prompts(table_of(row(LONG, "A")), model, PromptLimits(8, None))
