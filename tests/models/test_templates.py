"""The Tülu format worked by hand, and templates in several threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dataselect.models.formats import TULU_TEMPLATE, tulu
from dataselect.models.templates import Template


def turns(*contents):
    """Turns of the user and the assistant, one after the other."""
    return [
        {"role": ("user", "assistant")[number % 2], "content": content}
        for number, content in enumerate(contents)
    ]


def test_tulu_by_hand():
    row = [{"role": "system", "content": "Be brief."}, *turns(" One? ", "1 ", "Two?", "2")]
    text, spans = tulu(row, "</s>")
    assert text == (
        "<|system|>\nBe brief.\n<|user|>\nOne?\n<|assistant|>\n1</s>\n"
        "<|user|>\nTwo?\n<|assistant|>\n2</s>"
    )
    assert [text[start:end] for start, end in spans] == ["1</s>\n", "2</s>"]


@pytest.mark.parametrize(("contents", "eos", "text", "responses"), [
    (["  \n"], "</s>", "<|user|>", []),
    (["", ""], "</s>", "<|user|>\n\n<|assistant|>\n</s>", ["</s>"]),
    (["", ""], "", "<|user|>\n\n<|assistant|>", [""]),
    (["a", "b\n\n", "c"], "", "<|user|>\na\n<|assistant|>\nb\n<|user|>\nc", ["b\n"]),
    (["a\n\nb", "{{ c }}"], "!", "<|user|>\na\n\nb\n<|assistant|>\n{{ c }}!", ["{{ c }}!"]),
])  # fmt: skip
def test_contents_and_the_end_of_the_text_are_stripped(contents, eos, text, responses):
    written, spans = tulu(turns(*contents), eos)
    assert written == text
    assert [written[start:end] for start, end in spans] == responses


def test_a_prompt_ends_with_the_assistants_header():
    template = Template(TULU_TEMPLATE, {"eos_token": "</s>"}, "a tokenizer")
    assert template.prompt(turns("a ")) == "<|user|>\na\n<|assistant|>\n"
    assert template.prompt(turns("a", "b")) == "<|user|>\na\n<|assistant|>\nb</s>\n<|assistant|>\n"


def test_threads_may_render_at_once():
    # transformers holds one compiled template, which refuses a second reader
    row = turns(*["word"] * 400)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: tulu(row, "</s>"), range(40)))
    assert results == [results[0]] * 40
