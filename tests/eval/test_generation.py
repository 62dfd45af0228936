"""Outputs of a batch of mixed lengths are those of each prompt alone, in models of three kinds."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from dataselect.eval.run import EvalOptions, evaluate
from dataselect.models.chat import load_chat
from dataselect.models.load import load_causal
from dataselect.models.settings import ModelSettings
from tests.helpers import ROOT, mistake, table
from tests.models import change_json
from tests.models.hub_form import LLAMA_3

pytestmark = pytest.mark.slow

CONTEXT, OUTPUT = 160, 12
ROTARY = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
ROTARY |= {"num_attention_heads": 4, "num_key_value_heads": 2}
ROTARY |= {"max_position_embeddings": CONTEXT, "initializer_range": 0.5}
KINDS = {
    "llama": (LlamaForCausalLM, LlamaConfig, ROTARY),
    "qwen": (Qwen2ForCausalLM, Qwen2Config, ROTARY),
    "gpt2": (  # learned positions: padding must not count
        GPT2LMHeadModel,
        GPT2Config,
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT, "initializer_range": 0.5},
    ),
}
QUESTIONS = ["a", "What is that?", "Name " + "a colour and " * 6, "Hi!", "one two three four"]


@pytest.fixture(autouse=True)
def home(in_scratch):
    shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")


def write_model(kind, **config):
    """A small random model in the folder `model`; its tokenizer has no pad token."""
    model, config_class, sizes = KINDS[kind]
    tokenizer = LLAMA_3.tokenizer()
    tokenizer.save_pretrained("model")
    eos = tokenizer.eos_token_id
    torch.manual_seed(0)
    given = {"vocab_size": len(tokenizer), "bos_token_id": eos, "eos_token_id": eos}
    model(config_class(**given | sizes | config)).save_pretrained("model")
    return ModelSettings(name="model", dtype="float32", max_tokens=CONTEXT)


def table_of(questions, kind="exact_match"):
    rows = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": "x"}]
        for question in questions
    ]
    return table("tests", [("t", str(i), row, "x", None, kind) for i, row in enumerate(rows)])


def outputs(model, questions, batch_size, kind="exact_match", **changes):
    options = {"max_new_tokens": OUTPUT, "batch_size": batch_size, "long_prompts": "error"}
    options |= {"limit": None, "threads": None} | changes
    return evaluate(model, table_of(questions, kind), EvalOptions(**options))


def greedy(model, question, count=OUTPUT):
    """The tokens of an output, one after the other, without padding and without a cache."""
    net, chat = load_causal(model), load_chat(model)
    ids = chat.tokens(chat.prompt([{"role": "user", "content": question}]))
    start = len(ids)
    with torch.inference_mode():
        while len(ids) < start + count:
            ids.append(int(net(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[start:]


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_of_a_batch_are_those_of_each_prompt_alone(kind):
    model = write_model(kind)
    together = outputs(model, QUESTIONS, batch_size=5)
    found = together["output"].to_list()
    assert len(set(found)) == len(QUESTIONS)
    assert outputs(model, QUESTIONS, batch_size=1)["output"].to_list() == found
    assert outputs(model, QUESTIONS, batch_size=2)["output"].to_list() == found
    reversed_ = outputs(model, QUESTIONS[::-1], batch_size=3)
    assert reversed_["output"].to_list() == found[::-1]
    chat = load_chat(model)
    for question, output in zip(QUESTIONS, found, strict=True):
        ids = [*greedy(model, question), chat.tokenizer.eos_token_id]
        ids = ids[: ids.index(chat.tokenizer.eos_token_id)]
        assert output == chat.tokenizer.decode(ids, skip_special_tokens=True).strip()
    losses = outputs(model, QUESTIONS[:1], batch_size=1)["answer_nll_nats"][0]
    assert together["answer_nll_nats"][0] == pytest.approx(losses, rel=1e-5)


def with_an_end(model, place):
    """The model, whose first output now ends at a place: its token there becomes the eos."""
    number, eos = greedy(model, QUESTIONS[0])[place], load_chat(model).tokenizer.eos_token_id
    net = load_causal(model)
    swap = torch.arange(net.config.vocab_size)
    swap[[number, eos]] = swap[[eos, number]]
    with torch.no_grad():
        net.lm_head.weight.copy_(net.lm_head.weight[swap].clone())
    net.save_pretrained("model")


@pytest.mark.parametrize("ends", [None, 1], ids=["no end", "another"])
def test_an_output_ends_at_the_tokenizers_eos_whatever_the_model_says(ends):
    """Else a short output would go on for as long as the longest of its batch."""
    model = write_model("llama")
    with_an_end(model, place=4)
    alone = [outputs(model, [text], batch_size=1)["output"][0] for text in QUESTIONS]
    assert len({len(text) for text in alone}) > 1
    for name in ("config.json", "generation_config.json"):
        change_json(Path("model") / name, eos_token_id=ends)
    assert outputs(model, QUESTIONS, batch_size=5)["output"].to_list() == alone


def test_the_models_own_settings_of_generation_decide_nothing_else():
    model = write_model("llama")
    expected = outputs(model, QUESTIONS, batch_size=5)["output"].to_list()
    own = {"repetition_penalty": 1.3, "max_new_tokens": 3, "num_beams": 2}
    change_json(Path("model/generation_config.json"), **own)
    assert outputs(model, QUESTIONS, batch_size=5)["output"].to_list() == expected


def test_a_tokenizer_without_eos_or_pad_is_padded_all_the_same():
    model = write_model("llama")
    change_json(Path("model/tokenizer_config.json"), eos_token=None)
    template = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
    Path("model/chat_template.jinja").write_text(
        template + "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    assert "has no eos token, which ends a response" in mistake(load_chat, model)
    own = ModelSettings(name="model", dtype="float32", chat="model")
    together = outputs(own, QUESTIONS, batch_size=5)["output"].to_list()
    assert [outputs(own, [text], batch_size=1)["output"][0] for text in QUESTIONS] == together
    end = next(number for number in greedy(own, QUESTIONS[2]))  # the model has one, all the same
    for name in ("config.json", "generation_config.json"):
        change_json(Path("model") / name, eos_token_id=end)
    ended = outputs(own, QUESTIONS, batch_size=5)["output"].to_list()
    assert ended != together
    assert [outputs(own, [text], batch_size=1)["output"][0] for text in QUESTIONS] == ended


def test_draws_do_not_depend_on_the_batch():
    model = write_model("llama")
    kind = Path("eval_kinds/exact_match.yaml").read_text()
    drawn = kind.replace("do_sample: false", "do_sample: true, temperature: 0.7")
    Path("eval_kinds/drawn.yaml").write_text(drawn)
    found = outputs(model, QUESTIONS, batch_size=5, kind="drawn")["output"].to_list()
    assert found != outputs(model, QUESTIONS, batch_size=5)["output"].to_list()
    for size in (1, 2):
        alike = outputs(model, QUESTIONS, batch_size=size, kind="drawn")
        assert alike["output"].to_list() == found


@pytest.mark.parametrize("kind", KINDS)
def test_a_context_shorter_than_prompt_and_output_is_refused(kind):
    model = write_model(kind)
    long = "so " * (CONTEXT // 3 - 12)
    fits = CONTEXT - len(load_chat(model).tokens(load_chat(model).prompt(
        [{"role": "user", "content": long}]
    )))  # fmt: skip
    assert 1 < fits < 40
    outputs(model, [long], batch_size=1, max_new_tokens=fits)
    message = mistake(outputs, model, [long], 1, max_new_tokens=fits + 1)
    assert f"into the {CONTEXT} tokens that the model can read" in message
    assert "lower `eval.max_new_tokens`" in message
