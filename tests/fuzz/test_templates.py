"""Chat templates of all kinds, through what renders them."""

import functools

import pytest

from dataselect.data.tool_use import ToolConversation
from dataselect.dedup.fields import BadRow, checked_text
from dataselect.errors import InputError
from dataselect.models import time_limit
from dataselect.models.chat import Chat
from dataselect.models.load import load_tokenizer
from tests.fuzz.case import attempt, project
from tests.fuzz.cases import run_cases
from tests.fuzz.templates import TOOL_TURNS, TOOLS, cases
from tests.helpers import MODEL

SHARDS, CASES = 4, 500

#: The error that ends a template may come while hypothesis counts garbage: it comes again.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@functools.cache
def tokenizer():
    """The golden model's, of which only the template changes."""
    return load_tokenizer(MODEL)


def is_text(row):
    """Whether all contents are valid Unicode, as those of tables are."""
    try:
        return [checked_text(turn["content"], "content") for turn in row]
    except BadRow:
        return False


def check(case):
    """Uses one template for all that a template is used for: how it ends."""
    source, rows, with_tools = case
    rows = [row for row in rows if row and is_text(row)]
    rows += [ToolConversation(TOOL_TURNS, TOOLS)] if with_tools else []
    ends = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time_limit, "SECONDS", 0.02)
        tokenizer().chat_template = source

        def use():
            chat = Chat(tokenizer(), "model", 64)
            uses = [lambda row=row: chat.encode([row]) for row in rows]
            uses += [lambda row=row: chat.prompt(row) for row in rows]
            uses += [lambda: chat.opening, lambda: chat.jinja_template, lambda: chat.template.space]
            for one in uses:
                try:
                    one()
                except InputError as error:
                    ends.append(str(error))

        with project():
            message = attempt(use)
    return "refused" if ends or message else "done"


@pytest.mark.slow
def test_any_template_renders_or_is_refused_with_a_message():
    ends = run_cases(cases, check, 30)
    assert ends["done"] >= 3
    assert ends["refused"] >= 3


@pytest.mark.torture
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many_more_templates_render_or_are_refused_with_a_message(shard):
    assert run_cases(cases, check, CASES, fresh=True)["done"] >= CASES // 20
