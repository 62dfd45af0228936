"""The turns of many conversations at once, against one conversation at a time."""

import random
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from dataselect.data.schemas import MESSAGES
from dataselect.dedup.conversations import duplicate_key, reason_to_drop
from dataselect.dedup.turns import PLAIN_ROLES, WHITE_SPACE, find_plain, flatten
from tests.dedup import turns


def arrow(conversations):
    """Conversations as an Arrow array."""
    column = pl.Series(conversations, dtype=MESSAGES)
    return column.to_arrow(compat_level=pl.CompatLevel.oldest())


def drawn(seed, count=200):
    """Conversations of few texts with white space around, and characters of one to four bytes."""
    draw = random.Random(seed)
    letters = [*WHITE_SPACE, *"aé€🌱\u200b\u00a1\u2027\u3001"]

    def content():
        return "".join(draw.choice(letters) for _ in range(draw.choice([0, 1, 2, 5])))

    return [
        turns(*((draw.choice(PLAIN_ROLES), content()) for _ in range(draw.choice([0, 1, 2, 3]))))
        for _ in range(count)
    ]


def test_white_space_is_what_python_strips():
    assert set(WHITE_SPACE) == {c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace()}


@pytest.mark.parametrize("slices", [slice(None), slice(17, 150), slice(0, 0)])
def test_keys_and_reasons_are_those_of_each_conversation(slices):
    talks = drawn(seed=1)[slices]
    flat = flatten(arrow(drawn(seed=1))[slices])
    keys, reasons = flat.keys_and_reasons()
    assert keys == [duplicate_key(talk) for talk in talks]
    assert reasons.to_list() == [reason_to_drop(talk) for talk in talks]
    kind = arrow([]).type
    assert flat.messages(kind).to_pylist() == talks
    assert flat.messages(kind).type == kind


def test_a_long_text_has_its_key():
    talks = [turns(("user", f" {'x' * 5_000}\n"), ("assistant", "é" * 5_000))]
    assert flatten(arrow(talks)).keys_and_reasons()[0] == [duplicate_key(talks[0])]


def test_plain_conversations_by_hand():
    good = turns(("user", "x"), ("assistant", ""))
    call = [{"role": "assistant", "content": "", "tool_calls": ["f"]}]
    found = find_plain(pa.array([
        good, [], None, [None], turns(("user", None)), turns((None, "x")), turns(("tool", "x")),
        [*good, *turns(("gpt", "x"))], call, [{**call[0], "tool_calls": None}], good,
    ]))  # fmt: skip
    assert np.flatnonzero(found).tolist() == [0, 1, 9, 10]


@pytest.mark.parametrize(
    "column",
    [
        ["a text"],
        [["texts"]],
        [[{"role": "user"}]],
        [[{"role": "user", "content": 5}]],
        [[{"role": "user", "content": ["parts"]}]],
        [{"role": "user", "content": "x"}],
    ],
)
def test_other_types_are_not_plain(column):
    assert find_plain(pa.array(column)) is None
