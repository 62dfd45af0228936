"""The chat formats that need no template of the model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from dataselect.models.templates import Spans, Template

if TYPE_CHECKING:
    from dataselect.data.tables import Message

#: The chat format of Tülu: `<|role|>\n{content}\n` for every turn, with an eos after the content of
#: an assistant's; contents are stripped, and so is the end of the whole text. A response is the
#: content, the eos and the newline after it, which the last turn has not.
#:
#: Source: hamishivi/automated-instruction-selection@df71a04, whose labels hold that newline too.
#: Written without line breaks of its own and with plain `generation` tags, for servers whose Jinja
#: trims otherwise.
TULU_TEMPLATE = (
    "{% for message in messages %}"
    "{% set role = message['role'] %}"
    "{% set text = (message['content'] | trim) + (eos_token if role == 'assistant' else '')"
    " + ('' if loop.last else '\\n') %}"
    "{{ '<|' + role + ('|>\\n' if text else '|>') }}"
    "{% if role == 'assistant' %}{% generation %}{{ text }}{% endgeneration %}"
    "{% else %}{{ text }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n<|assistant|>\\n' }}{% endif %}"
)

#: What stands before the first turn, unless a system turn does.
PREAMBLE = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request."
)

#: Alpaca's instruction format, in which S2L's models are trained: `### Instruction:\n{content}` for
#: a user's turn and `### Response:{content}` with an eos for an assistant's, an empty line between
#: them; before them the preamble, or the system turn in its place. Contents stand as they are. A
#: response is the content and the eos.
#:
#: Source: BigML-CS-UCLA/S2L@2bc84dd (`prompt_no_input`), which has single turns only, and no system
#: turns: the rest is ours. An instruction's `input` is a part of the user's turn here; there it has
#: a header of its own. Other roles have their name as the header.
#: Written without line breaks of its own and with plain `generation` tags, for servers whose Jinja
#: trims otherwise.
ALPACA_TEMPLATE = (
    "{% for message in messages %}"
    "{% set role = message['role'] %}"
    "{% set end = '' if loop.last else '\\n\\n' %}"
    "{% if loop.first and role != 'system' %}{{ '" + PREAMBLE + "\\n\\n' }}{% endif %}"
    "{% if loop.first and role == 'system' %}{{ message['content'] + end }}"
    "{% elif role == 'assistant' %}"
    "{{ '### Response:' }}"
    "{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}"
    "{{ end }}"
    "{% else %}"
    "{{ '### ' + ('Instruction' if role == 'user' else role | capitalize) + ':\\n' }}"
    "{{ message['content'] + end }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n\\n### Response:' }}{% endif %}"
)

#: The templates by their name in params.yaml.
TEMPLATES = {"tulu": TULU_TEMPLATE, "alpaca": ALPACA_TEMPLATE}


def built_in_template(
    name: Literal["tulu", "alpaca"], special_tokens: dict[str, Any], tokenizer_name: str
) -> Template:
    """One of `TEMPLATES`. None has a form for tools, which it writes as texts.

    Args:
        special_tokens: variables of the template: `eos_token`.
        tokenizer_name: for messages.
    """
    return Template(TEMPLATES[name], special_tokens, tokenizer_name, tools_as_text=True)


def tulu(row: list[Message], eos: str) -> tuple[str, Spans]:
    """A conversation in the Tülu format (`TULU_TEMPLATE`), and the spans of its responses.

    Args:
        eos: what ends a response; may be empty.
    """
    return built_in_template("tulu", {"eos_token": eos}, "tulu").render(row)
