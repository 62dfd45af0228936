"""Rows whose response `max_tokens` cuts off entirely."""

import random
from dataclasses import replace

import polars as pl
import pytest

from dataselect.data.schemas import MESSAGES
from dataselect.dedup.truncation import OPENING_BYTES, find_truncated
from dataselect.dedup.truncation import _bytes as most_bytes
from dataselect.dedup.turns import flatten
from dataselect.errors import InputError
from dataselect.models.chat import Chat, load_chat
from dataselect.models.load import load_tokenizer
from dataselect.models.settings import TokenizerSettings
from tests.dedup import turns
from tests.helpers import GOLDEN
from tests.models.tool_templates import LIKE_QWEN, WITHOUT_TOOLS
from tests.tool_rows import WEATHER

TOKENIZER = TokenizerSettings(name=str(GOLDEN / "tiny-llama"))


def words(n):
    """For the golden tokenizer `<|user|>\\n` is 7 tokens, `<|assistant|>\\n` is 8, and ` a` is one.

    So n words make a prompt of 7 + n + 1 + 8 tokens.
    """
    return " ".join("a" * n)


def truncated(rows, **changes):
    return find_truncated(replace(TOKENIZER, **changes))(rows)


@pytest.mark.parametrize(
    ("conversation", "enough"),
    [
        ([("user", words(100)), ("assistant", "a")], 117),
        ([("user", f"\n{words(100)}  "), ("assistant", "a")], 117),
        ([("user", words(100)), ("assistant", words(50))], 117),
        ([("user", words(50)), ("assistant", "a"), ("user", words(90)), ("assistant", "a")], 67),
        ([("assistant", "a"), ("user", words(100)), ("assistant", "a")], 9),
    ],
)
def test_a_row_is_cut_off_where_no_token_of_a_response_fits(conversation, enough):
    rows = [turns(*conversation)]
    assert truncated(rows, max_tokens=enough) == [False]
    assert truncated(rows, max_tokens=enough - 1) == [True]


def test_the_golden_rows_without_a_response_token_are_those_cut_off():
    pool = pl.read_parquet(GOLDEN / "pool.parquet")
    losses = pl.read_parquet(GOLDEN / "losses.parquet")
    golden = set(losses.filter(pl.col("n_response_tokens") == 0)["id"])
    assert golden
    assert set(pool["id"].filter(pl.Series(truncated(pool["messages"].to_list())))) == golden


@pytest.mark.parametrize("max_tokens", [2, 17, 120, 500])
def test_tokenising_only_long_rows_changes_nothing(max_tokens):
    pool = pl.read_parquet(GOLDEN / "pool.parquet")["messages"].to_list()
    encoded = load_chat(replace(TOKENIZER, max_tokens=max_tokens)).encode(pool)
    expected = [not row.response[1:].any() for row in encoded]
    assert truncated(pool, max_tokens=max_tokens) == expected


def test_where_they_are_kept_no_row_is_cut_off_and_no_tokenizer_loaded(in_scratch):
    model = replace(TOKENIZER, name=str(in_scratch / "nowhere"), max_tokens=2)
    long = [turns(("user", words(100)), ("assistant", "a"))]
    assert find_truncated(model, keep=True)(long) == [False]


def test_no_tokenizer_is_loaded_where_no_row_is_long(in_scratch):
    model = {"name": str(in_scratch / "nowhere"), "max_tokens": 400}
    fits = turns(("user", "a" * 271), ("assistant", "a" * 9_999))  # 271 + 2 headers of 64 < 400
    assert truncated([fits] * 3, **model) == [False] * 3
    with pytest.raises(InputError, match=r"nowhere.* cannot be loaded"):
        truncated([fits, turns(("user", "a" * 272), ("assistant", "a"))], **model)


def test_with_a_template_of_its_own_every_row_is_tokenised():
    with pytest.raises(InputError, match="has no chat template"):
        truncated([turns(("user", "x"), ("assistant", "y"))], chat="model")


def test_what_a_models_own_template_rejects_is_named(monkeypatch):
    tokenizer = load_tokenizer(TOKENIZER)
    tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
        "{% for turn in messages %}{{ turn.role }}: {{ turn.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    chat = Chat(tokenizer, "model", 512)
    monkeypatch.setattr("dataselect.models.chat.load_chat", lambda settings: chat)
    conversation = [("user", "x"), ("assistant", "y")]
    rows = [turns(("system", "Be short."), *conversation), turns(*conversation)]
    rejected = ["refused by the model's chat template", False]
    assert truncated(rows, chat="model", max_tokens=512) == rejected
    settings = replace(TOKENIZER, chat="model", max_tokens=2)
    assert find_truncated(settings, keep=True)(rows) == rejected


def test_rows_with_tools_are_left_out_where_the_format_loses_them(monkeypatch):
    plain = turns(("user", "x"), ("assistant", "y"))
    reason = "tool use, for which the chat format has no form"
    assert truncated([WEATHER, plain], max_tokens=512) == [reason, False]
    settings = replace(TOKENIZER, max_tokens=2)
    assert find_truncated(settings, keep=True)([plain, WEATHER]) == [False, reason]
    tokenizer = load_tokenizer(TOKENIZER)
    monkeypatch.setattr("dataselect.models.chat.load_chat", lambda settings: chat)
    for template, expected in {
        LIKE_QWEN: False,
        WITHOUT_TOOLS: "tools left out by the model's chat template",
    }.items():
        tokenizer.chat_template = template
        chat = Chat(tokenizer, "model", 512)
        assert truncated([WEATHER, plain], chat="model", max_tokens=512) == [expected, False]


@pytest.mark.parametrize("changes", [{}, {"chat": "alpaca"}, {"chat": "model"}])
@pytest.mark.parametrize("keep", [False, True])
def test_which_rows_are_doubtful_is_seen_alike_in_columns(changes, keep):
    """The bound for many rows at once is that for each; without doubt nothing is cut off."""
    draw = random.Random(0)
    roles = ("system", "user", "assistant")
    talks = [
        turns(*((draw.choice(roles), "é" * draw.randrange(90)) for _ in range(draw.randrange(5))))
        for _ in range(200)
    ]
    column = pl.Series(talks, dtype=MESSAGES).to_arrow(compat_level=pl.CompatLevel.oldest())
    check = find_truncated(replace(TOKENIZER, max_tokens=300, **changes), keep=keep)
    doubtful = check.doubtful(flatten(column)).tolist()
    if changes.get("chat") == "model":
        assert all(doubtful)
        return
    limit = 300 - OPENING_BYTES.get(changes.get("chat"), 0)
    assert doubtful == [not keep and most_bytes(talk) >= limit for talk in talks]
    assert 20 < sum(doubtful) < 180 or keep
