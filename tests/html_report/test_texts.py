"""Excerpts: how long they are, and that they hold no control character."""

import polars as pl

from dataselect.errors import UNSAFE, inert
from dataselect.html_report.texts import excerpts, in_blocks
from tests.html_report.conftest import HARMFUL
from tests.small_run import turns


def lengths(prompt, response, limit):
    (row,) = excerpts(pl.DataFrame({"id": ["a"], "messages": [turns(prompt, response)]}), limit)
    return len(row.prompt.rstrip("…")), len(row.response.rstrip("…")), row.characters


def test_prompt_and_response_share_the_characters():
    assert lengths("a" * 50, "b" * 50, 100) == (50, 50, 100)
    assert lengths("a" * 80, "b" * 10, 100) == (80, 10, 90)
    assert lengths("a" * 300, "b" * 10, 100) == (90, 10, 310)
    assert lengths("a" * 10, "b" * 300, 100) == (10, 90, 310)
    assert lengths("a" * 300, "b" * 300, 100) == (50, 50, 600)


def test_control_characters_become_signs():
    assert inert("\x1b[2J\x7f\x9b\u202e a\r\nb\tc") == "␛[2J␡\ufffd\ufffd a\nb\tc"
    assert not any(UNSAFE.search(inert(text)) for text in HARMFUL)
    assert inert(HARMFUL[0]) == HARMFUL[0]  # HTML stays as it is: the page sets it as text


def test_a_row_without_a_user_turn_has_no_prompt():
    frame = pl.DataFrame({"id": ["a"], "messages": [[{"role": "assistant", "content": "Time"}]]})
    assert excerpts(frame, 100)[0][1:] == ("", "Time", 4)


def test_blocks_are_full_but_for_the_last():
    assert [len(block) for block in in_blocks(range(7), 3)] == [3, 3, 1]
