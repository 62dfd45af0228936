"""Responses alone after the assistant's header, with the tokens of their conversation."""

import numpy as np
import pytest

from dataselect.data.examples import Example
from dataselect.models.chat import Chat, load_chat
from dataselect.models.load import load_tokenizer
from dataselect.models.parts import encode_part, encode_responses
from tests.helpers import MODEL
from tests.models.test_chat import MARKERS, PLAIN, SYSTEM, TURNS, with_bos, with_template

USER_FIRST = (
    "{% if (messages | selectattr('role', 'ne', 'system') | first).role != 'user' %}"
    "{{ raise_exception('a user turn first') }}{% endif %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PHI = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content | trim }} "
    "[/INST]{% else %}{{ ' ' + m.content | trim + eos_token }}{% endif %}{% endfor %}"
)
ROWS = [TURNS, TURNS[1:3], TURNS[:2], TURNS[3:]]  # the third without a response


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(MODEL)


@pytest.mark.parametrize(("template", "opening", "rows"), [
    (None, "<|assistant|>\n", ROWS),
    (SYSTEM + USER_FIRST + MARKERS, "[assistant] ", ROWS),
    (SYSTEM + USER_FIRST + PLAIN, "[assistant] ", ROWS),
    (USER_FIRST + CHATML, "<|im_start|>assistant\n", ROWS),
    (USER_FIRST + PHI, "<|assistant|>\n", [TURNS[:3], TURNS[1:3], TURNS[:2], TURNS[3:]]),
    (USER_FIRST + "{{ bos_token }}" + PLAIN, "<s>[assistant] ", ROWS),
    (USER_FIRST + LLAMA_2, "<s>", [TURNS[1:], TURNS[1:3], TURNS[1:2], TURNS[3:]]),
], ids=["tulu", "markers", "prefixes", "chatml", "phi", "writes bos", "no header"])  # fmt: skip
def test_a_response_follows_the_bare_header_with_its_own_tokens(tokenizer, template, opening, rows):
    chat = Chat(with_template(tokenizer, template), "model" if template else "tulu", 512)
    assert chat.opening == opening
    found = encode_responses(chat, rows)
    assert [number for number, _ in found] == [0] * (len(rows[0]) // 2) + [1, 3]
    for number, conversation in enumerate(chat.encode(rows)):
        own = [row.ids[row.response] for owner, row in found if owner == number]
        assert (
            np.concatenate([[], *own]).tolist() == conversation.ids[conversation.response].tolist()
        )
    for _, row in found:
        start = int(np.argmax(row.response))
        assert row.response[start:].all()
        assert chat.tokenizer.decode(row.ids[:start]).strip() == opening.strip()


@pytest.mark.parametrize(("template", "side", "prompt", "response"), [
    (None, "pool", "<|system|>\nBe brief.\n<|user|>\nOne?</s>", "<|assistant|>\n1</s>"),
    (None, "queries", "<|system|>\nBe brief.\n<|user|>\nOne?\n<|assistant|>\n1</s>\n"
     "<|user|>\nTwo?</s>", "<s>2</s>"),
    (CHATML, "pool", "<|im_start|>system\nBe brief.</s>\n<|im_start|>user\nOne?</s>",
     "<|im_start|>assistant\n1</s>"),
    (USER_FIRST + MARKERS, "pool", "[system] Be brief.[user]  One?</s>", "[assistant] 1 </s>"),
    (USER_FIRST + PLAIN, "queries", "[system] Be brief.[user]  One? [assistant] 1 </s>"
     "[user] Two?</s>", "<s>2</s>"),
], ids=["tulu", "tulu queries", "chatml", "markers", "prefixes queries"])  # fmt: skip
def test_parts_by_hand(tokenizer, template, side, prompt, response):
    chat = Chat(with_template(tokenizer, template), "model" if template else "tulu", 512)
    for part, text in (("prompt", prompt), ("response", response)):
        (found,) = encode_part(chat, [TURNS], side, part)
        assert chat.tokenizer.decode(found.ids) == text
        assert found.ids.tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert found.response.all()


def test_a_part_that_is_not_there_marks_nothing_and_a_long_one_loses_its_end(tokenizer):
    chat = Chat(with_bos(tokenizer), "tulu", 6)
    question, response = TURNS[1:2], TURNS[2:3]
    absent, there = encode_part(chat, [question, TURNS[1:3]], "pool", "response")
    assert (absent.response.tolist(), there.response.all()) == ([False], True)
    (absent,) = encode_part(chat, [response], "pool", "prompt")
    assert absent.response.tolist() == [False]
    (short,) = encode_part(chat, [TURNS], "pool", "prompt")
    (whole,) = encode_part(Chat(with_bos(tokenizer), "tulu", 512), [TURNS], "pool", "prompt")
    assert short.ids.tolist() == whole.ids[:6].tolist()
    assert whole.ids[0] == tokenizer.bos_token_id
    assert whole.response.all()  # the published code pools the BOS too


def test_a_tokenizers_own_bos_stands_before_the_header(tokenizer):
    for chat in (
        Chat(with_bos(tokenizer), "tulu", 512),
        Chat(with_bos(tokenizer, "{{ bos_token }}" + PLAIN), "model", 512),
    ):
        for _, row in encode_responses(chat, ROWS):
            assert row.ids.tolist().count(tokenizer.bos_token_id) == 1
            assert row.ids[0] == tokenizer.bos_token_id
            assert not row.response[0]


def test_what_truncation_leaves_of_the_conversation_does_not_shorten_a_response(tokenizer):
    long = [{"role": "user", "content": "word " * 40}, {"role": "assistant", "content": "1 2 3"}]
    ((_, cut),) = encode_responses(Chat(tokenizer, "tulu", 20), [long])
    ((_, whole),) = encode_responses(Chat(tokenizer, "tulu", 512), [long])
    assert cut.ids.tolist() == whole.ids.tolist()
    ((_, short),) = encode_responses(Chat(tokenizer, "tulu", 8), [long])
    assert short.ids.tolist() == whole.ids[:8].tolist()
    assert encode_responses(Chat(tokenizer, "tulu", 8), [TURNS[:2]]) == []


def test_a_query_with_a_prefill_has_it_in_its_prompt_and_not_in_its_response():
    chat = load_chat(MODEL)
    row = Example(TURNS[3:], prefill="Answer:")
    for part, text in (
        ("prompt", "<|user|>\nTwo?\n<|assistant|>\nAnswer:</s>"),
        ("response", "<s>2</s>"),
    ):
        (encoded,) = encode_part(chat, [row], "queries", part)
        assert chat.tokenizer.decode(encoded.ids) == text
        assert encoded.response.all()


def test_a_querys_limit_cuts_its_prompt_and_its_response_as_it_cuts_the_whole(tokenizer):
    for chat in (Chat(tokenizer, "tulu", 512), Chat(with_bos(tokenizer), "tulu", 512)):
        long = [TURNS[3], {"role": "assistant", "content": "so " * 30}]
        row = Example(long, max_tokens=9)
        (whole,) = chat.encode([row])
        (prompt,) = encode_part(chat, [row], "queries", "prompt")
        (response,) = encode_part(chat, [row], "queries", "response")
        assert prompt.ids.tolist() == whole.ids[:9].tolist()
        assert response.ids.tolist() == [tokenizer.bos_token_id, *whole.ids[9:].tolist()]
        assert len(response.ids) == 1 + 9
        (uncut,) = encode_part(chat, [Example(long, format="chat")], "queries", "response")
        assert len(uncut.ids) > 1 + 9


@pytest.mark.parametrize("given", [{}, {"format": "chat"}])
def test_a_query_without_a_last_response_is_all_prompt(tokenizer, given):
    chat = Chat(tokenizer, "tulu", 512)
    row = Example(TURNS[1:4], **given) if given else TURNS[1:4]  # user, assistant, user
    (prompt,) = encode_part(chat, [row], "queries", "prompt")
    assert "Two?" in chat.tokenizer.decode(prompt.ids)
    assert "One?" in chat.tokenizer.decode(prompt.ids)
    (response,) = encode_part(chat, [row], "queries", "response")
    assert response.response.tolist() == [False]


def test_plain_queries_and_examples_keep_their_order(tokenizer):
    chat = Chat(tokenizer, "tulu", 512)
    mixed = [TURNS[3:], Example(TURNS[1:3], prefill="Answer:"), TURNS[1:3]]
    for part in ("prompt", "response"):
        together = encode_part(chat, mixed, "queries", part)
        for row, encoded in zip(mixed, together, strict=True):
            (alone,) = encode_part(chat, [row], "queries", part)
            assert encoded.ids.tolist() == alone.ids.tolist()
