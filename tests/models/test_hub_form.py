"""A model in exactly the hub's form: read, asked and trained by the real code."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dataselect.eval.run import EvalOptions, evaluate
from dataselect.models.chat import load_chat
from dataselect.models.config import check_files
from dataselect.models.load import load_causal, load_encoder, load_tokenizer, parameter_count
from dataselect.train.fit import Recipe
from dataselect.train.run import TrainSection, train
from tests.helpers import ROOT, table
from tests.models import change_json
from tests.models.hub_form import ids_of, parts_of, write_llama_3

OPTIONS = EvalOptions(
    max_new_tokens=8, batch_size=4, long_prompts="error", limit=None, threads=None
)


@pytest.fixture
def model(in_scratch):
    (in_scratch / "model").mkdir()
    shutil.copytree(ROOT / "eval_kinds", "eval_kinds")
    return replace(write_llama_3(in_scratch / "model"), name="model")


def asking(*questions):
    rows = [[{"role": "user", "content": text}, {"role": "assistant", "content": "x"}]
            for text in questions]  # fmt: skip
    return table("tests", [("t", str(i), row, "x", None, "exact_match")
                           for i, row in enumerate(rows)])  # fmt: skip


def test_its_files_are_those_of_a_hub(model):
    folder = Path(model.name)
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert parts_of(folder) == parts
    others = ["config.json", "generation_config.json", "model.safetensors.index.json"]
    others += ["tokenizer.json", "tokenizer_config.json"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(parts + others)
    assert json.loads((folder / "generation_config.json").read_text())["do_sample"] is True
    check_files(folder)


def test_its_weights_are_those_of_its_parts(model):
    stored = {}
    for name in parts_of(Path(model.name)):
        stored |= load_file(f"{model.name}/{name}")
    net = load_causal(model)
    loaded = {name: value for name, value in net.state_dict().items() if name in stored}
    assert stored.keys() == loaded.keys()
    assert all(torch.equal(stored[name], value) for name, value in loaded.items())
    assert load_causal(model, "bfloat16").dtype == torch.bfloat16
    assert torch.equal(load_encoder(model).embed_tokens.weight, net.model.embed_tokens.weight)
    assert parameter_count(model) == sum(value.numel() for value in stored.values())


def test_its_own_template_and_its_bos_come_once(model):
    chat = load_chat(model)
    text = (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]
    (row,) = chat.encode([turns])
    before = ids_of(chat.tokenizer, text)
    assert row.ids.tolist() == before + ids_of(chat.tokenizer, "Yes.<|eot_id|>")
    assert row.response.tolist() == [False] * len(before) + [True] * 5
    assert load_tokenizer(model).pad_token is None


@pytest.mark.slow
@pytest.mark.parametrize("end", ["<|eot_id|>", "<|end_of_text|>"])
def test_its_outputs_are_greedy_and_end_at_each_of_its_ends(model, end):
    net, chat = load_causal(model), load_chat(model)
    questions = ["Hi", "And a longer one, of some more words?"]

    def greedy(question):
        ids = chat.tokens(chat.prompt([{"role": "user", "content": question}]))
        start = len(ids)
        with torch.inference_mode():
            for _ in range(8):
                ids.append(int(net(torch.tensor([ids])).logits[0, -1].argmax()))
        return ids[start:]

    outputs = [greedy(question) for question in questions]
    number = outputs[0][3]
    # Where it put out this token it ends now.
    swap = torch.arange(net.config.vocab_size)
    swap[[number, chat.tokenizer.vocab[end]]] = swap[[chat.tokenizer.vocab[end], number]]
    with torch.no_grad():
        net.lm_head.weight.copy_(net.lm_head.weight[swap].clone())
    net.save_pretrained(model.name, max_shard_size="40KB")
    expected = [ids[: ids.index(number)] if number in ids else ids for ids in outputs]
    frame = evaluate(model, asking(*questions), OPTIONS)
    decoded = [chat.tokenizer.decode(ids, skip_special_tokens=True) for ids in expected]
    assert frame["output"].to_list() == [text.strip() for text in decoded]


#: What other tokenizers have in tokenizer_config.json, with the same tokens.
VARIANTS = {
    "padded": {"pad_token": "<|end_of_text|>"},
    "left": {"padding_side": "left"},
    "endless": {"eos_token": None},
}


@pytest.mark.slow
def test_training_does_not_depend_on_the_pad_token_or_its_side(model):
    rows = [
        {
            "id": str(number),
            "source": "s",
            "messages": [
                {"role": "user", "content": "Say it" + " again" * number},
                {"role": "assistant", "content": f"It {number}."},
            ],
        }
        for number in range(4)
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe(steps=2, learning_rate=1e-2, batch_size=4, micro_batch_size=4, threads=1)
    for name, changes in VARIANTS.items():
        shutil.copytree(model.name, name)
        change_json(Path(name) / "tokenizer_config.json", **changes)
    weights = {}
    for name in (model.name, *VARIANTS):
        section = TrainSection(replace(model, name=name), recipe, "code")
        train(section, Path("rows.jsonl"), Path(f"{name}-fit"), Path("curve.csv"))
        trained = replace(model, name=f"{name}-fit")
        weights[name] = load_causal(trained).state_dict()
        before, after = (load_chat(each).tokenizer for each in (section.model, trained))
        assert (after.pad_token, after.chat_template) == (before.pad_token, before.chat_template)
        row, own = (load_chat(each).encode([rows[0]["messages"]])[0] for each in (model, trained))
        assert row.ids.tolist() == own.ids.tolist()
    expected = weights.pop(model.name)
    assert not torch.equal(load_causal(model).lm_head.weight, expected["lm_head.weight"])
    for other in weights.values():
        assert all(torch.equal(expected[name], other[name]) for name in expected)
