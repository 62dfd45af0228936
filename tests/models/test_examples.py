"""Prefill, raw text and limits of queries as tokens, beside the papers' query code by hand."""

import pytest

from dataselect.data.examples import Example
from dataselect.models.chat import Chat, load_chat
from dataselect.models.examples import tulu_text
from dataselect.models.load import load_tokenizer
from tests.helpers import MODEL, merging_model
from tests.models.test_chat import with_bos

TURNS = [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": " B"}]
PROMPT = "<|user|>\nWhich?\n<|assistant|>\nThe answer is:"


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(MODEL)


def published(tokenizer, prompt, label, max_length=1024):
    """The ids of the RDS+ repository's `construct_test_sample`, and how many are the prompt's."""
    before = tokenizer(prompt, max_length=max_length, truncation=True)["input_ids"]
    options = {"max_length": max_length, "truncation": True, "add_special_tokens": False}
    after = tokenizer(label + tokenizer.eos_token, **options)["input_ids"]
    return before + after, len(before)


@pytest.mark.parametrize("bos", [False, True])
def test_a_prefilled_query_is_the_published_one(tokenizer, bos):
    tokenizer = with_bos(tokenizer) if bos else tokenizer
    chat = Chat(tokenizer, "tulu", 512)
    (row,) = chat.encode([Example(TURNS, prefill="The answer is:")])
    ids, start = published(tokenizer, PROMPT, " B")
    assert row.ids.tolist() == ids
    # Graded: the answer alone. No header, no prefill, and, as in LESS's queries, no eos.
    assert row.response.nonzero()[0].tolist() == list(range(start, len(ids) - 1))
    assert tokenizer.decode(row.ids[row.response]) == " B"


def test_raw_text_has_no_chat_format(tokenizer):
    turns = [{"role": "user", "content": "Q: 1 + 1\nA:"}, {"role": "assistant", "content": " 2"}]
    (row,) = Chat(tokenizer, "tulu", 512).encode([Example(turns, format="raw")])
    assert row.ids.tolist() == published(tokenizer, "Q: 1 + 1\nA:", " 2")[0]
    assert tulu_text(Example(turns, format="raw", prefill=" So")) == ("Q: 1 + 1\nA: So", " 2")
    assert tulu_text(Example(TURNS, prefill="The answer is:")) == (PROMPT, " B")
    assert tulu_text(TURNS) == ("<|user|>\nWhich?\n<|assistant|>\nB", "")


def test_a_limit_is_the_prompts_and_the_answers_each(tokenizer):
    chat = Chat(tokenizer, "tulu", 512)
    long = [TURNS[0], {"role": "assistant", "content": "so " * 30}]
    (row,) = chat.encode([Example(long, max_tokens=9)])
    ids, start = published(tokenizer, "<|user|>\nWhich?\n<|assistant|>\n", "so " * 30, 9)
    assert row.ids.tolist() == ids
    assert start == 9
    assert row.response.sum() == 9
    assert row.truncated
    (whole,) = chat.encode([Example(long, format="chat")])
    assert not whole.truncated
    (short,) = Chat(tokenizer, "tulu", 12).encode([Example(long, format="chat")])
    assert short.ids.tolist() == whole.ids[:12].tolist()


def test_prompt_and_answer_are_apart_where_a_tokenizer_would_merge_them(tmp_path):
    chat = load_chat(merging_model(tmp_path))
    turns = [{"role": "user", "content": "|"}, {"role": "assistant", "content": ">"}]
    (row,) = chat.encode([Example(turns, format="raw")])
    assert row.ids.tolist()[:2] == chat.tokenizer.convert_tokens_to_ids(["|", ">"])
    assert chat.split("|", ">")[1] == chat.tokenizer.convert_tokens_to_ids(["|>"])
    assert chat.split("|", ">", apart=True)[1] == chat.tokenizer.convert_tokens_to_ids([">"])


def test_rows_of_both_kinds_keep_their_order(tokenizer):
    chat = Chat(tokenizer, "tulu", 512)
    mixed = [TURNS, Example(TURNS, prefill="The answer is:"), TURNS]
    together = chat.encode(mixed)
    for row, encoded in zip(mixed, together, strict=True):
        assert encoded.ids.tolist() == chat.encode([row])[0].ids.tolist()
    assert together[0].ids.tolist() != together[1].ids.tolist()


def test_a_query_without_an_answer_is_its_prompt(tokenizer):
    (row,) = Chat(tokenizer, "tulu", 512).encode([Example(TURNS[:1], format="raw")])
    assert tokenizer.decode(row.ids) == "Which?"
    assert not row.has_response
