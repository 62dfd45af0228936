"""Tools by chat templates: what is a response, what is lost; and tool use as plain text."""

import pytest

from dataselect.data.tool_use import ToolConversation
from dataselect.models.chat import Chat
from dataselect.models.formats import tulu
from dataselect.models.load import load_tokenizer
from dataselect.models.parts import encode_part
from dataselect.models.templates import Template, TemplateRejected, ToolUseRejected
from dataselect.models.tool_use import as_text
from tests.helpers import MODEL
from tests.models.tool_templates import LIKE_LLAMA, LIKE_MISTRAL, LIKE_QWEN, WITHOUT_TOOLS
from tests.tool_rows import BOTH, TOOLS, TURNS, ULM, WEATHER, call, calls, turn

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


def template(source):
    return Template(source, SPECIAL, "a tokenizer")


def responses(source, row):
    text, spans = template(source).render(row)
    return [text[start:end] for start, end in spans]


QWEN_CALL = '<tool_call>\n{"name": "%s", "arguments": %s}\n</tool_call>'
QWEN_WEATHER = QWEN_CALL % ("weather", '{"city": "Ulm"}')


def test_results_in_a_user_turn_are_no_response():
    text, _ = template(LIKE_QWEN).render(BOTH)
    assert text.count("<|im_start|>user") == 4  # two questions, and two groups of results
    assert text.startswith('<|im_start|>system\nBe brief.\n<tools>\n{"type": "function"')
    assert responses(LIKE_QWEN, BOTH) == [
        f"{QWEN_WEATHER}<|im_end|>",
        "It is 3 degrees.<|im_end|>",
        f"I look.\n{QWEN_WEATHER}\n{QWEN_CALL % ('time', '{}')}<|im_end|>",
        "Cold; noon.<|im_end|>",
    ]


def test_results_as_json_are_found():
    text, _ = template(LIKE_LLAMA).render(WEATHER)
    assert '"{\\"celsius\\": 3}"' in text
    assert responses(LIKE_LLAMA, WEATHER) == [
        '{"name": "weather", "parameters": {"city": "Ulm"}}<|eot_id|>',
        "It is 3 degrees.<|eot_id|>",
    ]


def test_a_template_that_takes_no_two_calls_at_once_rejects_them():
    with pytest.raises(TemplateRejected, match="one call at a time"):
        template(LIKE_LLAMA).render(BOTH)


@pytest.mark.parametrize("source", [LIKE_QWEN, LIKE_LLAMA])
def test_a_conversation_that_begins_with_a_call_marks_no_header(source):
    first, last = responses(source, ToolConversation(TURNS[1:], None))
    assert first == responses(source, WEATHER)[0]
    assert last == responses(source, WEATHER)[-1]


def test_a_header_after_results_that_the_prompt_lacks_is_no_response():
    """Gemma 4's generation prompt is empty after a result."""
    source = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}"
        "{{ c.function | tojson }}{% endfor %}</>{% endfor %}"
        "{% if add_generation_prompt and messages[-1].role != 'tool' %}<assistant>{% endif %}"
    )
    called = '{"name": "weather", "arguments": {"city": "Ulm"}}</>'
    row = ToolConversation(TURNS, None)
    assert responses(source, row) == [called, "It is 3 degrees.</>"]


def marked_by_template(inside):
    """A template with markers, around the text or also around the calls."""
    call = "{% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}"
    marked, after = ("{{ m.content }}" + call, "") if inside else ("{{ m.content }}", call)
    return (
        "{{ tools | tojson }}{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}"
        "{% generation %}" + marked + "{% endgeneration %}" + after + "{% else %}{{ m.content }}"
        "{% endif %}\n{% endfor %}"
    )


def test_markers_say_what_a_response_is():
    called = '{"name": "weather", "arguments": {"city": "Ulm"}}'
    assert responses(marked_by_template(True), WEATHER) == [called, "It is 3 degrees."]


#: A template, a row, and what the template loses of it.
LOSSES = {
    "tools": (WITHOUT_TOOLS, WEATHER, "tools left out"),
    "calls": (WITHOUT_TOOLS, ToolConversation(TURNS), "tool calls left out"),
    "results": (
        "{% for m in messages if m.role != 'tool' %}{{ m | tojson }}\n{% endfor %}",
        ToolConversation(TURNS),
        "tool results left out",
    ),
    "arguments": (
        "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}"
        "{{ c.function.name }}{% endfor %}{% endfor %}",
        ToolConversation(TURNS),
        "tool calls left out",
    ),
    "one of two calls": (
        "{% for m in messages %}{{ m.content }}{% if m.tool_calls %}{{ m.tool_calls[0] | tojson }}"
        "{% endif %}{% endfor %}",
        ToolConversation(BOTH),
        "tool calls left out",
    ),
    "calls outside markers": (
        marked_by_template(False),
        WEATHER,
        "tool calls not marked as responses",
    ),
    "places": (LIKE_MISTRAL, BOTH, "earlier turns rewritten"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_template_loses_is_named(name):
    source, row, reason = LOSSES[name]
    with pytest.raises(ToolUseRejected) as error:
        template(source).render(row)
    assert error.value.reason == reason
    assert str(error.value) == (
        f"model.chat: {reason} by the template of a tokenizer. Drop such rows, or set "
        "`chat: tulu` for a model that only measures them."
    )


def test_a_name_that_stands_elsewhere_is_no_call():
    row = ToolConversation([turn("user", 'weather {"city": "Ulm"}'), calls(call("weather", **ULM))])
    with pytest.raises(ToolUseRejected, match="tool calls left out"):
        template(WITHOUT_TOOLS).render(row)


def test_without_tools_a_template_loses_nothing():
    row = [turn("user", "Hi"), turn("assistant", "Hello")]
    assert responses(WITHOUT_TOOLS, row) == ["Hello"]
    assert responses(WITHOUT_TOOLS, ToolConversation([*row, turn("tool", "x")])) == ["Hello"]


def test_developers_are_system_turns_where_a_template_knows_none():
    row = [turn("developer", "Be brief."), turn("user", "Hi"), turn("assistant", "Hello")]
    assert template(WITHOUT_TOOLS).render(row)[0].startswith("system: Be brief.\n")
    knows = "{% if messages[0].role == 'developer' %}!{% endif %}" + WITHOUT_TOOLS
    assert template(knows).render(row)[0].startswith("!developer: Be brief.\n")
    assert tulu(row, "</s>")[0].startswith("<|system|>\nBe brief.\n")
    with_tools = ToolConversation(row, TOOLS)
    assert "<|im_start|>system\nBe brief.\n<tools>" in template(LIKE_QWEN).render(with_tools)[0]


def test_tools_as_text_by_hand():
    row = ToolConversation(TURNS, [{"type": "function", "function": {"name": "weather"}}])
    called = '{"name": "weather", "arguments": {"city": "Ulm"}}'
    text, spans = tulu(row, "</s>")
    assert text == (
        '<|tools|>\n{"name": "weather"}\n<|user|>\nHow warm is it in Ulm?\n'
        f'<|assistant|>\n{called}</s>\n<|tool|>\n{{"celsius": 3}}\n'
        "<|assistant|>\nIt is 3 degrees.</s>"
    )
    assert [text[start:end] for start, end in spans] == [f"{called}</s>\n", "It is 3 degrees.</s>"]
    assert as_text(BOTH)[7]["content"] == (
        f'I look.\n{called}\n{{"name": "time", "arguments": {{}}}}'
    )


def marked(chat, row):
    (encoded,) = chat.encode([row])
    return chat.tokenizer.decode(encoded.ids[encoded.response])


def test_tokens_of_calls_are_marked_and_parts_keep_the_tools():
    tokenizer = load_tokenizer(MODEL)
    tokenizer.chat_template = LIKE_QWEN
    chat = Chat(tokenizer, "model", 10_000)
    assert marked(chat, WEATHER) == f"{QWEN_WEATHER}<|im_end|>It is 3 degrees.<|im_end|>"
    prompt, first = (encode_part(chat, [WEATHER], "pool", part) for part in ("prompt", "response"))
    assert '{"type": "function", "function": {"name": "time"' in tokenizer.decode(prompt[0].ids)
    assert QWEN_WEATHER in tokenizer.decode(first[0].ids)
    assert "celsius" not in tokenizer.decode(first[0].ids)
    plain = [turn("user", "Hi"), turn("assistant", "Hello")]
    together, alone = chat.encode([WEATHER, plain])[1], chat.encode([plain])[0]
    assert together.ids.tolist() == alone.ids.tolist()
