"""What a judge is asked, and how its answer is read."""

import pytest
import yaml

from dataselect.eval.judge_prompt import (
    Pair,
    messages,
    model_first,
    preference,
    read_prompt,
    win_rate,
)
from tests.eval.judge_server import FIRST, SECOND
from tests.helpers import ROOT, mistake

#: AlpacaEval's instructions, and whether the model's output stood first, as the judge's answer and
#: the preference of alpaca_eval's published annotations show (tatsu-lab/alpaca_eval@cd543a1).
PUBLISHED = {
    "What are the names of some famous actors that started their careers on Broadway?": True,
    "How did US states get their names?": True,
    "What is some cool music from the 1920s?": False,
}

PROMPT = {"user": "{instruction} A: {output_1} B: {output_2}"}


@pytest.mark.parametrize("instruction", PUBLISHED)
def test_the_order_is_alpaca_evals(instruction):
    assert model_first(instruction) is PUBLISHED[instruction]


def test_a_preference_does_not_depend_on_the_order():
    for instruction, first in PUBLISHED.items():
        better, worse = (FIRST, SECOND) if first else (SECOND, FIRST)
        assert preference(better, instruction) == 1.0
        assert preference(worse, instruction) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        *("", "model_1 is better", "[]", "[1, 2]", "[{'model': 'model_1'}]", "[" * 400 + "]"),
        *("[{'model': 'model_1', 'rank': 3}]", "[{'model': 'model_2', 'rank': 1}]"),
        "[{'model': 'model_1', 'rank': __import__('os').getpid()}]",
    ],
)
def test_an_answer_that_does_not_rank_the_outputs_is_not_understood(text):
    assert preference(text, "How did US states get their names?") is None


def test_text_around_the_ranking_does_not_matter():
    assert preference(f"```python\n{FIRST}\n```", "How did US states get their names?") == 1.0


def test_outputs_are_put_in_all_at_once():
    prompt = read_prompt({**PROMPT, "system": " Rank. "}, "test")
    pair = Pair("What is some cool music from the 1920s?", "{instruction}", "jazz {output_2}")
    assert messages(prompt, pair) == [
        {"role": "system", "content": "Rank."},
        {"role": "user", "content": f"{pair.instruction} A: jazz {{output_2}} B: {{instruction}}"},
    ]


def test_a_prompt_has_a_place_for_every_text():
    message = mistake(read_prompt, {"user": "{instruction} {output_1}"}, "eval_kinds/k.yaml: judge")
    assert message == "eval_kinds/k.yaml: judge.user: expected {output_2} in it. Add them."


def test_the_kinds_own_prompt_is_complete():
    text = (ROOT / "eval_kinds/alpaca_eval.yaml").read_text().replace("!function ", "")
    prompt = read_prompt(yaml.safe_load(text)["metadata"]["judge"], "test")
    assert prompt.max_tokens == 100
    assert prompt.temperature == 0
    (system, user) = messages(prompt, Pair("What is some cool music from the 1920s?", "o", "r"))
    assert system["content"].endswith("ranks models by the quality of their answers.")
    assert '"model": "model_1",\n        "answer": """r"""' in user["content"]
    assert user["content"].endswith(
        "Please provide the ranking that the majority of humans would give."
    )


def test_the_metric_has_no_value_before_a_judge_was_asked():
    value = win_rate({}, ["output"])["win_rate"]
    assert value != value
