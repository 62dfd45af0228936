"""Alpaca's format: as S2L writes it, and with the turns that it has not."""

from transformers import AutoTokenizer

from dataselect.dedup.truncation import OPENING_BYTES, find_truncated
from dataselect.models.chat import Chat
from dataselect.models.formats import ALPACA_TEMPLATE, PREAMBLE
from dataselect.models.load import load_tokenizer
from dataselect.models.parts import encode_responses
from dataselect.models.settings import TokenizerSettings
from dataselect.models.templates import Template
from tests.helpers import MODEL

ASK, REPLY = {"role": "user", "content": " 1 + 1?\n"}, {"role": "assistant", "content": "2 "}
TEMPLATE = Template(ALPACA_TEMPLATE, {"eos_token": "</s>"}, "a tokenizer")

#: `prompt_no_input` of BigML-CS-UCLA/S2L@2bc84dd, consts.py.
PUBLISHED = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:"
)


def test_a_single_turn_is_the_published_text():
    source = PUBLISHED.format(instruction=" 1 + 1?\n")
    text, spans = TEMPLATE.render([ASK, REPLY])
    assert text == source + "2 </s>"
    assert spans == [(len(source), len(text))]
    assert TEMPLATE.prompt([ASK]) == source
    assert TEMPLATE.opening == "### Response:"


def test_a_system_turn_replaces_the_preamble_and_turns_follow_each_other():
    system, tool = {"role": "system", "content": "Be brief."}, {"role": "tool", "content": "4"}
    text, spans = TEMPLATE.render([system, ASK, REPLY, tool, REPLY])
    assert text == (
        "Be brief.\n\n### Instruction:\n 1 + 1?\n\n\n### Response:2 </s>\n\n"
        "### Tool:\n4\n\n### Response:2 </s>"
    )
    assert [text[first:last] for first, last in spans] == ["2 </s>", "2 </s>"]
    assert TEMPLATE.prompt([system]) == "Be brief.\n\n### Response:"
    late, _ = TEMPLATE.render([ASK, system])
    assert late == f"{PREAMBLE}\n\n### Instruction:\n 1 + 1?\n\n\n### System:\nBe brief."


def test_tokens_marks_and_the_saved_template_agree(tmp_path):
    chat = Chat(load_tokenizer(MODEL), "alpaca", 512)
    rows = [[ASK, REPLY], [ASK, REPLY, ASK, {**REPLY, "content": "two"}]]
    chat.tokenizer.chat_template = chat.jinja_template
    chat.tokenizer.save_pretrained(tmp_path)
    saved = AutoTokenizer.from_pretrained(tmp_path)
    for row, encoded in zip(rows, chat.encode(rows), strict=True):
        assert saved.apply_chat_template(row, return_dict=False) == encoded.ids.tolist()
    marked = [chat.tokenizer.decode(row.ids[row.response]) for row in chat.encode(rows)]
    assert [text.replace(" </s>", "</s>") for text in marked] == ["2</s>", "2</s>two</s>"]
    found = encode_responses(chat, rows)
    assert [number for number, _ in found] == [0, 1, 1]


def test_no_row_is_kept_that_its_preamble_pushes_out():
    empty = {**ASK, "content": ""}
    assert len(f"{PREAMBLE}\n\n") <= OPENING_BYTES["alpaca"]
    model = TokenizerSettings(name=MODEL.name, chat="alpaca", max_tokens=24)
    (encoded,) = Chat(load_tokenizer(MODEL), "alpaca", 24).encode([[empty, REPLY]])
    assert not encoded.has_response
    assert find_truncated(model)([[empty, REPLY]]) == [True]
