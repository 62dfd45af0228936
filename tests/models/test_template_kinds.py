"""Chat templates of the known kinds, by hand: for training, features, IFD and evaluation alike.

A conversation is written as texts, of which every second is a response: prompt, response, prompt …
"""

from bisect import bisect
from itertools import accumulate

import pytest

from dataselect.eval.prompts import encode_prompts
from dataselect.models.chat import Chat
from dataselect.models.parts import encode_part, encode_responses
from tests.helpers import mistake, table
from tests.models.hub_form import (
    GEMMA,
    GEMMA_3,
    LLAMA_3,
    MISTRAL,
    MISTRAL_3,
    PHI_3,
    QWEN,
    ids_of,
    tokens_of,
)

SYSTEM = {"role": "system", "content": "Be brief."}
TURNS = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1 a"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2"},
]
HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
USER, ASSISTANT = HEADER.format("user"), HEADER.format("assistant")

#: Kind, turns, and what is written: prompts and responses by turns.
CONVERSATIONS = {
    "llama": (LLAMA_3, TURNS, [
        f"<|begin_of_text|>{USER}One?<|eot_id|>{ASSISTANT}", "1 a<|eot_id|>",
        f"{USER}Two?<|eot_id|>{ASSISTANT}", "2<|eot_id|>",
    ]),
    "llama, system": (LLAMA_3, [SYSTEM, *TURNS[:2]], [
        f"<|begin_of_text|>{HEADER.format('system')}Be brief.<|eot_id|>"
        f"{USER}One?<|eot_id|>{ASSISTANT}", "1 a<|eot_id|>",
    ]),
    "qwen": (QWEN, TURNS, [
        "<|im_start|>system\nHelp.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n"
        "<|im_start|>assistant\n", "1 a<|im_end|>",
        "\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n", "2<|im_end|>", "\n",
    ]),
    "qwen, system": (QWEN, [SYSTEM, *TURNS[:2]], [
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n"
        "<|im_start|>assistant\n", "1 a<|im_end|>", "\n",
    ]),
    "gemma": (GEMMA, TURNS, [
        "<bos><start_of_turn>user\nOne?<end_of_turn>\n<start_of_turn>model\n", "1 a<end_of_turn>",
        "\n<start_of_turn>user\nTwo?<end_of_turn>\n<start_of_turn>model\n", "2<end_of_turn>", "\n",
    ]),
    "gemma 3, system": (GEMMA_3, [SYSTEM, *TURNS], [
        "<bos><start_of_turn>user\nBe brief.\n\nOne?<end_of_turn>\n<start_of_turn>model\n",
        "1 a<end_of_turn>",
        "\n<start_of_turn>user\nTwo?<end_of_turn>\n<start_of_turn>model\n", "2<end_of_turn>", "\n",
    ]),
    "phi": (PHI_3, [SYSTEM, *TURNS[:2]], [
        "<|system|>\nBe brief.<|end|>\n<|user|>\nOne?<|end|>\n<|assistant|>\n",
        "1 a<|end|>", "\n<|endoftext|>",
    ]),
    "phi, turns": (PHI_3, TURNS, [
        "<|user|>\nOne?<|end|>\n<|assistant|>\n", "1 a<|end|>",
        "\n<|user|>\nTwo?<|end|>\n<|assistant|>\n", "2<|end|>", "\n<|endoftext|>",
    ]),
    "mistral": (MISTRAL, TURNS, [
        "<s>[INST] One? [/INST]", "1 a</s>", "[INST] Two? [/INST]", "2</s>",
    ]),
    "mistral 3, system": (MISTRAL_3, [SYSTEM, *TURNS[:2]], [
        "<s>[INST] Be brief.\n\nOne?[/INST]", " 1 a</s>",
    ]),
    "mistral 3": (MISTRAL_3, TURNS, [
        "<s>[INST] One?[/INST]", " 1 a</s>", "[INST] Two?[/INST]", " 2</s>",
    ]),
}  # fmt: skip

#: What a response alone follows, where IFD and features of responses look at it.
OPENINGS = {
    LLAMA_3: f"<|begin_of_text|>{ASSISTANT}",
    QWEN: "<|im_start|>assistant\n",
    GEMMA: "<bos><start_of_turn>model\n",
    GEMMA_3: "<bos><start_of_turn>model\n",
    PHI_3: "<|assistant|>\n",
    MISTRAL: "<s>",
    MISTRAL_3: "<s>",
}

VARIANTS = pytest.mark.parametrize(
    ("markers", "adds_bos"),
    [(False, False), (True, False), (False, True), (True, True)],
    ids=["plain", "markers", "plain, tokenizer's bos", "markers, tokenizer's bos"],
)
EVERY = pytest.mark.parametrize("name", CONVERSATIONS)


def by_hand(kind, tokenizer, texts, adds_bos):
    """Token ids and marks of texts of which every second is a response."""
    ends = list(accumulate(map(len, texts)))
    tokens = tokens_of(tokenizer, "".join(texts))
    ids = [number for number, _ in tokens]
    marks = [bisect(ends, place) % 2 == 1 for _, place in tokens]
    if adds_bos and not texts[0].startswith(kind.bos):
        return [tokenizer.bos_token_id, *ids], [False, *marks]
    return ids, marks


def conversation(name, markers):
    """A conversation's kind, turns and texts."""
    kind, turns, texts = CONVERSATIONS[name]
    if kind is PHI_3 and not markers:  # without them the end of text is a part of the last response
        texts = [*texts[:-2], texts[-2] + texts[-1]]
    return kind, turns, texts


def chat_of(kind, markers, adds_bos):
    if adds_bos and kind.bos is None:
        pytest.skip("there is no bos of this kind")
    return Chat(kind.tokenizer(markers=markers, adds_bos=adds_bos), "model", 512)


@EVERY
@VARIANTS
def test_tokens_of_training_and_features(name, markers, adds_bos):
    kind, turns, texts = conversation(name, markers)
    chat = chat_of(kind, markers, adds_bos)
    (row,) = chat.encode([turns])
    assert chat.render(turns)[0] == "".join(texts)
    ids, marks = by_hand(kind, chat.tokenizer, texts, adds_bos)
    assert row.ids.tolist() == ids
    assert row.response.tolist() == marks


@EVERY
@VARIANTS
def test_tokens_of_ifd_and_of_responses_alone(name, markers, adds_bos):
    kind, turns, texts = conversation(name, markers)
    chat = chat_of(kind, markers, adds_bos)
    found = encode_responses(chat, [turns])
    assert len(found) == len(texts) // 2
    for (_, row), response in zip(found, texts[1::2], strict=True):
        ids, marks = by_hand(kind, chat.tokenizer, [OPENINGS[kind], response], adds_bos)
        assert row.ids.tolist() == ids
        assert row.response.tolist() == marks
    (row,) = encode_part(chat, [turns], "pool", "response")
    ids, _ = by_hand(kind, chat.tokenizer, [OPENINGS[kind], texts[1]], adds_bos)
    assert row.ids.tolist() == ids
    assert row.response.all()


#: What features of prompts alone look at, of each first user turn.
PROMPTS = {
    LLAMA_3: f"<|begin_of_text|>{USER}One?<|eot_id|>",
    QWEN: "<|im_start|>system\nHelp.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>",
    GEMMA: "<bos><start_of_turn>user\nOne?<end_of_turn><eos>",
    GEMMA_3: "<bos><start_of_turn>user\nOne?<end_of_turn><eos>",
    PHI_3: "<|user|>\nOne?<|end|>\n<|endoftext|>",
    MISTRAL: "<s>[INST] One? [/INST]</s>",
    MISTRAL_3: "<s>[INST] One?[/INST]</s>",
}


@pytest.mark.parametrize("kind", PROMPTS)
@VARIANTS
def test_tokens_of_prompts_alone(kind, markers, adds_bos):
    chat = chat_of(kind, markers, adds_bos)
    (row,) = encode_part(chat, [TURNS], "pool", "prompt")
    assert row.ids.tolist() == by_hand(kind, chat.tokenizer, [PROMPTS[kind]], adds_bos)[0]
    assert row.response.all()


@EVERY
@VARIANTS
def test_tokens_of_evaluation(name, markers, adds_bos):
    kind, turns, texts = conversation(name, markers)
    chat = chat_of(kind, markers, adds_bos)
    tests = table("tests", [("t", "1", turns, turns[-1]["content"], None, "exact_match")])
    (prompt,) = encode_prompts(chat, tests, {"t": 4}, None, "error")
    last = 2 * (len(texts) // 2) - 1
    before, _ = by_hand(kind, chat.tokenizer, texts[:last], adds_bos)
    assert prompt.text == "".join(texts[:last])
    assert chat.tokens(prompt.text) == before
    ids, marks = by_hand(kind, chat.tokenizer, texts, adds_bos)
    assert prompt.gold.ids.tolist() == ids
    assert prompt.gold.response.tolist() == [
        mark and place >= len(before) for place, mark in enumerate(marks)
    ]
    written = " ab" if kind is MISTRAL_3 else "ab"  # as before the response in training
    for choice in ("ab", written):
        assert prompt.split(chat, prompt.text, choice) == (before, ids_of(chat.tokenizer, written))


@pytest.mark.parametrize("markers", [False, True])
def test_kinds_that_refuse_system_turns(markers):
    for kind, reason in ((GEMMA, "no system turns"), (MISTRAL, "roles must alternate")):
        chat = chat_of(kind, markers, adds_bos=False)
        assert f"rejects a conversation: {reason}. Drop" in mistake(chat.encode, [[SYSTEM, *TURNS]])


def test_a_system_turn_that_moves_with_the_last_user_turn_needs_markers():
    turns = [SYSTEM, *TURNS]
    texts = ["<s>[INST] One?[/INST]", " 1 a</s>", "[INST] Be brief.\n\nTwo?[/INST]", " 2</s>"]
    chat = chat_of(MISTRAL_3, markers=True, adds_bos=False)
    (row,) = chat.encode([turns])
    ids, marks = by_hand(MISTRAL_3, chat.tokenizer, texts, adds_bos=False)
    assert (row.ids.tolist(), row.response.tolist()) == (ids, marks)
    plain = chat_of(MISTRAL_3, markers=False, adds_bos=False)
    assert "Put {% generation %} markers into it" in mistake(plain.encode, [turns])
