"""Conversations → token ids and the response mask, in the Tülu format and by other templates."""

import copy
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from dataselect.dedup.truncation import find_truncated
from dataselect.models.chat import Chat, load_chat, mark_last_response
from dataselect.models.load import load_tokenizer
from tests.helpers import GOLDEN, MODEL, ROOT, mistake
from tests.models import copy_model

TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " One? "},
    {"role": "assistant", "content": "1 "},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2"},
]
ODD_TURNS = [
    {"role": "assistant", "content": "  "},
    {"role": "user", "content": ""},
    {"role": "assistant", "content": "再见 🦜\n"},
    {"role": "user", "content": "\n"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(MODEL)


@pytest.fixture(scope="module")
def golden_rows():
    return pl.read_parquet(GOLDEN / "pool.parquet")["messages"].to_list()


def marked(chat, row):
    """The text of the tokens that are marked as the responses'."""
    (encoded,) = chat.encode([row])
    return chat.tokenizer.decode(encoded.ids[encoded.response])


def with_template(tokenizer, template):
    other = copy.deepcopy(tokenizer)
    other.chat_template = template
    return other


def with_bos(tokenizer, template=None):
    """A tokenizer that puts a BOS before every text."""
    from tokenizers.processors import TemplateProcessing

    other = with_template(tokenizer, template)
    other.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    return other


def without_newlines():
    """A tokenizer, as BERT's, that has no token for whitespace."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[UNK]", "</s>", "1", "2", "One", "Two", "?", "<|", "|>", "user", "assistant"]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="</s>", unk_token="[UNK]", model_max_length=512
    )


def test_the_mask_is_the_responses(tokenizer):
    assert marked(Chat(tokenizer, "tulu", 512), TURNS) == "1</s>\n2</s>"


@pytest.mark.parametrize(
    "folder", [MODEL.name, str(ROOT / "demo/base_model")], ids=["golden", "demo"]
)
def test_ids_and_masks_are_those_of_transformers(folder, golden_rows):
    chat = load_chat(replace(MODEL, name=folder, max_tokens=10**6))
    rows = [*golden_rows, TURNS, ODD_TURNS]
    theirs = chat.tokenizer.apply_chat_template(
        rows,
        chat_template=chat.jinja_template,
        return_dict=True,
        return_assistant_tokens_mask=True,
        tokenizer_kwargs={"verbose": False},
    )
    for row, ids, mask in zip(
        chat.encode(rows), theirs["input_ids"], theirs["assistant_masks"], strict=True
    ):
        assert row.ids.tolist() == ids
        assert row.response.astype(int).tolist() == mask


def test_a_newline_that_no_token_holds_marks_no_other_turn():
    # transformers would mark all turns from the first response on: its issue 47325
    assert marked(Chat(without_newlines(), "tulu", 512), TURNS) == "1 </s> 2 </s>"


def test_a_prompt_ends_where_the_response_begins(tokenizer):
    chat = Chat(tokenizer, "tulu", 512)
    text, _ = chat.render(TURNS)
    assert text == chat.prompt(TURNS[:-1]) + "2</s>"


def test_blocks_by_length_hold_every_row_once_longest_first(tokenizer, monkeypatch):
    monkeypatch.setattr("dataselect.models.chat.ROWS_PER_BLOCK", 3)
    rows = [[{"role": "assistant", "content": "word " * (7 * i % 10)}] for i in range(8)]
    chat = Chat(tokenizer, "tulu", 2048)
    in_order = chat.encode(rows)
    blocks = list(chat.encode_by_length(rows))
    assert [len(block) for _, block in blocks] == [3, 3, 2]
    numbers = np.concatenate([numbers for numbers, _ in blocks]).tolist()
    assert sorted(numbers) == list(range(8))
    encoded = [row for _, block in blocks for row in block]
    lengths = [len(row.ids) for row in encoded]
    assert lengths == sorted(lengths, reverse=True)
    for number, row in zip(numbers, encoded, strict=True):
        assert np.array_equal(row.ids, in_order[number].ids)
        assert np.array_equal(row.response, in_order[number].response)
    assert list(chat.encode_by_length([])) == []


def test_max_tokens_cuts_the_end(tokenizer):
    (whole,) = Chat(tokenizer, "tulu", 512).encode([TURNS])
    (exact,) = Chat(tokenizer, "tulu", len(whole.ids)).encode([TURNS])
    (cut,) = Chat(tokenizer, "tulu", 9).encode([TURNS])
    assert cut.ids.tolist() == whole.ids[:9].tolist()
    assert (whole.truncated, exact.truncated, cut.truncated) == (False, False, True)
    assert whole.has_response
    assert not cut.response.any()
    assert not cut.has_response
    assert load_chat(MODEL).max_tokens == MODEL.max_tokens
    assert load_chat(MODEL, max_tokens=9).max_tokens == 9


def test_the_first_token_is_never_predicted(tokenizer):
    template = (
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
    )
    chat = Chat(with_template(tokenizer, template), "model", 512)
    single, pair = chat.encode([[{"role": "assistant", "content": text}] for text in ("1", "1 1")])
    assert (single.response.tolist(), single.has_response) == ([True], False)
    assert (pair.response.tolist(), pair.has_response) == ([True, True], True)


MARKERS = (
    "{% for m in messages %}[{{ m.role }}] {% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ m.content }}{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
PLAIN = MARKERS.replace("{% generation %}", "").replace("{% endgeneration %}", "")
REWRITES = PLAIN.replace("[{{ m.role }}] ", "[{{ m.role }} {{ messages | length }}] ")
REJECTS = "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns') }}{% endif %}"


@pytest.mark.parametrize("template", [MARKERS, PLAIN], ids=["markers", "prefixes"])
def test_a_models_own_template(tokenizer, template):
    chat = Chat(with_template(tokenizer, template), "model", 512)
    # " 1" is one token here: what holds a response's first character is the response's
    assert marked(chat, TURNS).replace("\n", "") == " 1 </s> 2</s>"
    assert chat.prompt(TURNS[:2]).endswith("One? [assistant] ")


@pytest.mark.parametrize("template", [MARKERS, PLAIN], ids=["markers", "prefixes"])
def test_a_last_character_of_several_tokens_is_marked_whole(tokenizer, template):
    template = template.replace("{{ eos_token }}", "")
    chat = Chat(with_template(tokenizer, template), "model", 512)
    turn = {"role": "assistant", "content": "bye 🦜"}
    assert marked(chat, [TURNS[1], turn, TURNS[3], turn]) == " bye 🦜 bye 🦜"


SYSTEM = "{% if messages[0].role != 'system' %}[system] Be kind.\n{% endif %}"


@pytest.mark.parametrize("template", [MARKERS, PLAIN], ids=["markers", "prefixes"])
@pytest.mark.parametrize("default", ["", SYSTEM], ids=["no system turn", "a default one"])
def test_a_conversation_that_begins_with_a_response_marks_no_header(tokenizer, template, default):
    chat = Chat(with_template(tokenizer, default + template), "model", 512)
    turns = [TURNS[2], TURNS[3], TURNS[4]]
    text, spans = chat.render(turns)
    assert [text[first:last].strip() for first, last in spans] == ["1 </s>", "2</s>"]
    assert marked(chat, turns).replace("\n", "") == " 1 </s> 2</s>"
    ((text, (span,)),) = [chat.render([{"role": "assistant", "content": "assistant] a"}])]
    assert text[slice(*span)].strip() == "assistant] a</s>"


def test_without_a_header_to_learn_a_first_response_is_its_content(tokenizer):
    template = PLAIN.partition("{% if add_generation_prompt %}")[0]
    chat = Chat(with_template(tokenizer, SYSTEM + template), "model", 512)
    text, ((first, last),) = chat.render(TURNS[2:3])
    assert text[first:last] == "1 </s>"
    text, ((first, last),) = chat.render([{"role": "assistant", "content": "a1"}])
    assert text[first:last] == "a1</s>"


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer):
    chat = Chat(with_template(tokenizer, REWRITES), "model", 512)
    assert "rewrites earlier turns" in mistake(chat.encode, [TURNS])


def test_what_a_template_rejects_is_one_message(tokenizer):
    chat = Chat(with_template(tokenizer, REJECTS + PLAIN), "model", 512)
    message = mistake(chat.encode, [TURNS])
    assert message.endswith(
        "rejects a conversation: no system turns. Drop such rows, or set `model.chat: tulu`."
    )
    assert mistake(chat.prompt, TURNS[:2]) == message
    assert marked(chat, TURNS[1:]).count("</s>") == 2


def test_a_template_with_a_syntax_error_blames_no_row(tmp_path):
    folder = copy_model(tmp_path / "tiny")
    (folder / "chat_template.jinja").write_text("{% for m in messages %}\n{{ m.content }")
    for call in (Chat.encode, find_rejections):
        message = mistake(call, load_chat(replace(MODEL, name=str(folder), chat="model")), [TURNS])
        assert message == (
            f"{folder}/chat_template.jinja: the chat template has a syntax error in line 2: "
            "unexpected '}'. Fix it there, or set `model.chat: tulu`."
        )


def find_rejections(chat, rows):
    """Whether the dedup stage drops rows for what the template is."""
    return find_truncated(replace(MODEL, name=chat.tokenizer.name_or_path, chat="model"))(rows)


def test_what_a_template_fails_on_is_a_rejection(tokenizer):
    chat = Chat(with_template(tokenizer, "{{ messages[0].content + 1 }}"), "model", 512)
    assert "rejects a conversation: can only concatenate str" in mistake(chat.encode, [TURNS])


def test_a_response_alone_is_encoded_by_a_models_own_template(tokenizer):
    for template in (MARKERS, PLAIN):
        chat = Chat(with_template(tokenizer, template), "model", 512)
        (row,) = chat.encode([TURNS[2:3]])
        assert row.response.any()


def test_what_a_tokenizer_lacks_is_one_message(tokenizer):
    assert mistake(Chat, tokenizer, "model", 512).endswith(
        "has no chat template. Set `model.chat: tulu`."
    )
    other = copy.deepcopy(tokenizer)
    other.eos_token = None
    assert "has no eos token" in mistake(Chat, other, "tulu", 512)


def test_a_tokenizers_own_bos_comes_once(tokenizer):
    (row,) = Chat(with_bos(tokenizer), "tulu", 512).encode([TURNS])
    (without,) = Chat(tokenizer, "tulu", 512).encode([TURNS])
    assert row.ids.tolist() == [tokenizer.bos_token_id, *without.ids.tolist()]
    assert row.response.tolist() == [False, *without.response.tolist()]


def test_a_template_that_writes_the_bos_does_not_double_it(tokenizer):
    chat = Chat(with_bos(tokenizer, "{{ bos_token }}" + PLAIN), "model", 512)
    (row,) = chat.encode([TURNS])
    assert row.ids.tolist().count(tokenizer.bos_token_id) == 1
    assert row.ids[0] == tokenizer.bos_token_id


@pytest.mark.parametrize(("make", "template"), [
    (with_template, None),
    (with_template, MARKERS),
    (with_template, PLAIN),
    (with_bos, None),
    (with_bos, PLAIN),
    (with_bos, "{{ bos_token }}" + PLAIN),
    (with_template, REJECTS + MARKERS),
], ids=["tulu", "markers", "prefixes", "tulu bos", "bos", "writes bos", "rejects"])  # fmt: skip
def test_a_saved_tokenizer_encodes_as_we_do(tokenizer, tmp_path, golden_rows, make, template):
    chat = Chat(make(tokenizer, template), "model" if template else "tulu", 10**6)
    chat.tokenizer.chat_template = chat.jinja_template
    chat.tokenizer.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    rows = [row for row in [*golden_rows[::10], TURNS, ODD_TURNS] if row[0]["role"] != "system"]
    for row, encoded in zip(rows, chat.encode(rows), strict=True):
        ids = saved.apply_chat_template(row, tokenize=True, return_dict=False)
        assert ids == encoded.ids.tolist()
        prompt = saved.apply_chat_template(row[:-1], add_generation_prompt=True, tokenize=False)
        written = prompt.removeprefix("<s>") if make is with_bos else prompt
        assert written == chat.prompt(row[:-1]).removeprefix("<s>")


def test_only_the_last_response_is_a_tests_reference_answer(tokenizer):
    prompt, row = Chat(tokenizer, "tulu", 512).encode([TURNS[:2], TURNS])
    last = mark_last_response(row)
    assert tokenizer.decode(last.ids[last.response]) == "2</s>"
    assert tokenizer.decode(row.ids[row.response]) == "1</s>\n2</s>"  # itself unchanged
    assert not mark_last_response(prompt).response.any()


def test_a_template_that_writes_todays_date_writes_the_same_every_day(tokenizer):
    template = (
        "{% if strftime_now is defined %}{% set day = strftime_now('%d %b %Y') %}{% endif %}"
        "{% for m in messages %}{{ day + m.role + m.content }}{% endfor %}"
    )
    chat = Chat(with_template(tokenizer, template), "model", 64)
    assert chat.prompt(TURNS[:1]) == "26 Jul 2024systemBe brief."
    assert "strftime_now('" not in chat.jinja_template  # that is saved with the trained model
