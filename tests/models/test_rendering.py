"""What a chat template does wrong is a reason, whatever it does."""

import pytest

from dataselect.models import time_limit
from dataselect.models.load import load_tokenizer
from dataselect.models.rendering import (
    LONGEST_REASON,
    BadTemplate,
    Rejected,
    render,
    template_source,
)
from dataselect.models.templates import with_fixed_date
from tests.helpers import MODEL, mistake

ROW = [{"role": "user", "content": "a"}]


def rendered(source):
    return render(source, ROW, None, markers=False, prompt=False, variables={"eos_token": "</s>"})


def test_a_template_that_is_right_renders():
    assert rendered("{{ messages[0].content }}{{ eos_token }}") == ("a</s>", [])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
         "RecursionError: maximum recursion depth exceeded"),
        ("{{ 'a' * 10000000000000000 }}", "MemoryError"),
        ("{{ x.y.z }}", "'x' is undefined"),
        ("{{ '\ud800' }}", "it writes half a surrogate pair"),
        ("{{ raise_exception('\ud800') }}", r"\ud800"),
        ("{{ raise_exception() }}", ""),
        ("{{ strftime_now('\ud800') }}", "surrogates not allowed"),
        ("{% include 'x' %}", "no loader"),
    ],
    ids=["recursion", "memory", "an unknown name", "half a pair", "half a pair in its "
         "message", "no message", "half a pair in a date", "another template"],
)  # fmt: skip
def test_errors_of_the_template_reject_the_conversation(source, reason):
    with pytest.raises(Rejected) as error:
        rendered(source)
    assert reason in str(error.value)
    str(error.value).encode()


def test_a_long_reason_is_cut():
    with pytest.raises(Rejected) as error:
        rendered("{{ raise_exception(messages | string * 100) }}")
    assert len(str(error.value)) == LONGEST_REASON + 1


def test_loops_in_loops_end(monkeypatch):
    monkeypatch.setattr(time_limit, "SECONDS", 0.01)
    loop = "{% for _ in range(99999) %}"
    with pytest.raises(BadTemplate, match=r"longer than 10 s"):
        rendered(loop * 4 + "{% endfor %}" * 4)
    assert rendered("b") == ("b", [])


def test_a_form_of_a_date_that_is_none_is_left_to_the_rendering():
    wrong = "{{ strftime_now('\ud800') }}"
    assert with_fixed_date(wrong) == wrong
    assert with_fixed_date("{{ strftime_now('%d %b %Y') }}") == "{{ '26 Jul 2024' }}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (None, "has no chat template. Set"),
        ({"a": "x", "b": "y"}, "has several chat templates (a, b): expected one called `default`"),
        (True, "expected a text, found True. Fix tokenizer_config.json"),
    ],
)
def test_a_tokenizers_template_is_one_text(template, expected):
    tokenizer = load_tokenizer(MODEL)
    tokenizer.chat_template = template
    assert expected in mistake(template_source, tokenizer, "m")


def test_of_several_templates_the_default_is_taken():
    tokenizer = load_tokenizer(MODEL)
    tokenizer.chat_template = {"default": "x", "tools": "y"}
    assert template_source(tokenizer, "m") == "x"
