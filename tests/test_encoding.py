"""Text → tokens → batches → vectors: worked by hand."""

import numpy as np
import pytest
import torch

from dataselect.dedup.truncation import find_truncated
from dataselect.embed.hidden_states import hidden_states, pool
from dataselect.errors import InputError
from dataselect.models.batches import batches, pad
from dataselect.models.chat import Chat, Encoded, mark_last_response, tulu
from dataselect.models.load import load_causal, load_tokenizer
from dataselect.models.nll import token_losses

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " One? "},
    {"role": "assistant", "content": "1 "},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2"},
]


@pytest.fixture(scope="module")
def tokenizer(model_section):
    return load_tokenizer(model_section)


def marked(chat, row):
    """The text of the tokens that are marked as the response's."""
    (one,) = chat.encode([row])
    return chat.tokenizer.decode(one.ids[one.response])


def test_tulu_by_hand():
    text, spans = tulu(TURNS, "</s>")
    assert text == (
        "<|system|>\nBe brief.\n<|user|>\nOne?\n<|assistant|>\n1</s>\n"
        "<|user|>\nTwo?\n<|assistant|>\n2</s>"
    )
    assert [text[a:b] for a, b in spans] == ["1</s>\n", "2</s>"]


def test_the_mask_is_the_responses(tokenizer):
    assert marked(Chat(tokenizer, "tulu", 512), TURNS) == "1</s>\n2</s>"


def test_a_prompt_ends_where_the_answer_begins(tokenizer):
    chat = Chat(tokenizer, "tulu", 512)
    whole, _ = chat.render(TURNS)
    assert whole == chat.prompt(TURNS[:-1]) + "2</s>"


def test_blocks_ahead_hold_every_row_once_longest_first(tokenizer, monkeypatch):
    monkeypatch.setattr("dataselect.models.chat.AT_ONCE", 3)
    rows = [[{"role": "assistant", "content": "word " * (7 * i % 10)}] for i in range(8)]
    chat = Chat(tokenizer, "tulu", 2048)
    whole = chat.encode(rows)
    blocks = list(chat.encode_by_length(rows))
    assert [len(block) for _, block in blocks] == [3, 3, 2]
    numbers = np.concatenate([numbers for numbers, _ in blocks]).tolist()
    assert sorted(numbers) == list(range(8))
    found = [one for _, block in blocks for one in block]
    assert [len(one.ids) for one in found] == sorted((len(r.ids) for r in whole), reverse=True)
    for number, one in zip(numbers, found, strict=True):
        assert np.array_equal(one.ids, whole[number].ids)
        assert np.array_equal(one.response, whole[number].response)
    assert list(chat.encode_by_length([])) == []


def test_truncation_cuts_the_end(tokenizer):
    (whole,) = Chat(tokenizer, "tulu", 512).encode([TURNS])
    (cut,) = Chat(tokenizer, "tulu", 9).encode([TURNS])
    assert cut.ids.tolist() == whole.ids[:9].tolist()
    assert not cut.response.any()


def with_template(tokenizer, template):
    import copy

    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return other


MARKERS = (
    "{% for m in messages %}[{{ m.role }}] {% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ m.content }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
PLAIN = MARKERS.replace("{% generation %}", "").replace("{% endgeneration %}", "")
REWRITES = PLAIN.replace("[{{ m.role }}] ", "[{{ m.role }} {{ messages | length }}] ")


@pytest.mark.parametrize("template", [MARKERS, PLAIN], ids=["markers", "prefixes"])
def test_a_models_own_template(tokenizer, template):
    chat = Chat(with_template(tokenizer, template), "model", 512)
    # " 1" is one token here: what holds a response's first character is the response's
    assert marked(chat, TURNS).replace("\n", "") == " 1 </s> 2</s>"
    assert chat.prompt(TURNS[:2]).endswith("One? [assistant] ")


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    chat = Chat(with_template(tokenizer, REWRITES), "model", 512)
    with pytest.raises(InputError, match="rewrites earlier turns"):
        chat.encode([TURNS])


def test_no_template_where_it_is_asked_for(tokenizer):
    with pytest.raises(InputError, match=r"has no chat template. Set `model.chat: tulu`"):
        Chat(tokenizer, "model", 512)


def test_a_tokenizers_own_bos_comes_once(tokenizer):
    from tokenizers.processors import TemplateProcessing

    other = with_template(tokenizer, None)
    other.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    (with_bos,) = Chat(other, "tulu", 512).encode([TURNS])
    (without,) = Chat(tokenizer, "tulu", 512).encode([TURNS])
    assert with_bos.ids.tolist() == [tokenizer.bos_token_id, *without.ids.tolist()]
    assert not with_bos.response[0]


def test_a_template_that_writes_the_bos_does_not_double_it(tokenizer):
    from tokenizers.processors import TemplateProcessing

    other = with_template(tokenizer, "{{ bos_token }}" + PLAIN)
    other.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    (row,) = Chat(other, "model", 512).encode([TURNS])
    assert row.ids.tolist().count(tokenizer.bos_token_id) == 1
    assert row.ids[0] == tokenizer.bos_token_id


def test_what_a_template_refuses_is_said_and_dropped(tokenizer, model_section, monkeypatch):
    refuses = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"
    )
    other = with_template(tokenizer, refuses + PLAIN)
    with pytest.raises(InputError, match="refuses a conversation: no system turns"):
        Chat(other, "model", 512).encode([TURNS])
    monkeypatch.setattr("dataselect.models.load.load_tokenizer", lambda model: other)
    check = find_truncated({**model_section, "chat": "model", "max_tokens": 512})
    assert check([TURNS, TURNS[1:]]) == ["refused by the model's chat template", False]


def test_a_response_alone_is_encoded_by_a_models_own_template(tokenizer):
    for template in (MARKERS, PLAIN):
        chat = Chat(with_template(tokenizer, template), "model", 512)
        (row,) = chat.encode([TURNS[2:3]])
        assert row.response.any()


def test_batches_hold_every_row_once_within_the_budget():
    lengths = [5, 1, 9, 9, 2, 30, 4]
    answer = batches(lengths, 18)
    assert answer == [[5], [2, 3], [0, 6, 4], [1]]
    assert sorted(row for batch in answer for row in batch) == list(range(7))


def test_padding_is_on_the_right():
    rows = [
        Encoded(np.array([7, 8, 9], np.int32), np.array([False, True, True])),
        Encoded(np.array([5], np.int32), np.array([False])),
    ]
    ids, response, real = pad(rows)
    assert ids.tolist() == [[7, 8, 9], [5, 0, 0]]
    assert response.tolist() == [[False, True, True], [False, False, False]]
    assert real.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("weighted_mean", [1 * 1 / 3, 2 * 1 / 3]),  # tokens 1 and 2 weigh 1/3 and 2/3
        ("mean", [1 / 2, 1 / 2]),
        ("last_token", [0, 1]),
    ],
)
def test_pooling_by_hand(pooling, expected):
    states = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [99.0, 99.0]]])
    kept = torch.tensor([[True, True, False]])
    vector = np.asarray(expected) / np.linalg.norm(expected)
    np.testing.assert_allclose(pool(states, kept, pooling)[0], vector, rtol=1e-6)


def test_a_row_without_such_tokens_is_all_zeros():
    states = torch.ones(1, 3, 2)
    none = torch.zeros(1, 3, dtype=torch.bool)
    for pooling in ("weighted_mean", "mean", "last_token"):
        assert pool(states, none, pooling).tolist() == [[0.0, 0.0]]


def test_a_prompts_vector_does_not_know_the_response(model_section):
    compute = hidden_states(model_section, over="prompt")
    rows = [[TURNS[1], {"role": "assistant", "content": text}] for text in ("1", "a long answer")]
    one, other = compute(rows, "pool", lambda *_: None)["vectors"]
    np.testing.assert_allclose(one, other, atol=1e-6)
    compute = hidden_states(model_section, over="response")
    one, other = compute(rows, "pool", lambda *_: None)["vectors"]
    assert np.abs(one - other).max() > 1e-3


def test_only_the_last_response_is_a_tests_answer(tokenizer):
    (row,) = Chat(tokenizer, "tulu", 512).encode([TURNS])
    last = mark_last_response(row)
    assert tokenizer.decode(last.ids[last.response]) == "2</s>"


def test_a_loss_does_not_depend_on_its_batch(model_section, tokenizer):
    net = load_causal(model_section)
    rows = Chat(tokenizer, "tulu", 512).encode([TURNS, TURNS[1:3], TURNS[3:], TURNS[:2]])
    together = token_losses(net, rows).response
    alone = np.concatenate([token_losses(net, [row]).response for row in rows])
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert np.isnan(together[3])  # no response, no loss
    # by the definition: −log p of each response token given those before it
    ids = torch.from_numpy(rows[1].ids.astype(np.int64))
    with torch.inference_mode():
        logp = net(ids[None]).logits[0, :-1].log_softmax(-1)
    picked = -logp[torch.arange(len(ids) - 1), ids[1:]].numpy()[rows[1].response[1:]]
    assert together[1] == pytest.approx(picked.mean(), rel=1e-5)
