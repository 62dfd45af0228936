"""A sentence model in this process: its limits, its eos, and the tokens of a prompt."""

from dataclasses import replace

import numpy as np
import pytest

from dataselect.embed._sentence_model import SentenceModel
from dataselect.embed.sentence_embeddings import sentence_embeddings
from tests.embed import latent_model
from tests.helpers import MODEL, mistake

pytestmark = pytest.mark.slow

SETTINGS = {"revision": None, "device": "cpu", "dtype": "float32", "trust_remote_code": True}
SETTINGS |= {"local": True, "append_eos": True, "right_padding": True, "own_limit": True}
TEXTS = ["a text", "another text, which is longer"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return latent_model.save(tmp_path_factory.mktemp("latent") / "model")


def load(folder, max_tokens=96, **changes):
    return SentenceModel(name=str(folder), max_tokens=max_tokens, **{**SETTINGS, **changes})


def rows(*texts, limit=None):
    return [([text], limit) for text in texts]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"max_tokens": 40}, 40), ({}, 90), ({"own_limit": False}, 96)],
    ids=["max_tokens", "the model's own", "ignored"],
)
def test_the_lower_limit_counts_unless_the_models_own_is_ignored(folder, changes, expected):
    _, tokens = load(folder, **changes).prepare(rows("x" * 200), "")
    assert tokens == [expected]


def test_an_eos_follows_every_text_also_where_its_parts_are_cut(folder):
    model = load(folder)
    assert model.prepare(rows(*TEXTS), "") == ([f"{text}</s>" for text in TEXTS], [8, 31])
    assert model.prepare(rows("abcdef", limit=2), "p: ") == (["ab</s>"], [7])
    assert model.prepare([], "") == ([], [])


def test_a_tokenizer_without_eos_is_refused(tmp_path):
    model = latent_model.save(tmp_path / "model", eos_token=None)
    settings = replace(MODEL, name=str(model), trust_remote_code=True)
    message = mistake(sentence_embeddings(append_eos=True).load, settings, [])
    assert "no eos token to append. Remove `append_eos`" in message


def test_as_many_tokens_as_a_prompt_has_are_left_out_of_the_pooling_of_old_versions(folder):
    """Against the states of every token; a prompt's last token counts, as the first is added."""
    import torch

    model, prompt = load(folder), "In: "
    model.is_old = True
    texts = [f"{text}</s>" for text in TEXTS]
    found = model.encode(texts, prompt)
    assert found.dtype == np.float32
    for vector, text in zip(found, texts, strict=True):
        features = model.net.tokenizer(prompt + text, return_tensors="pt")
        with torch.inference_mode():
            states = model.network(features["input_ids"], features["attention_mask"])
        mean = states.last_hidden_state[0, len(prompt) :].mean(0)
        np.testing.assert_allclose(vector, mean / mean.norm(), atol=1e-6)


def test_what_is_known_of_a_model(folder):
    model = load(folder)
    assert (model.dimension, model.dtype) == (16, "float32")
    assert "mixing.weight" in model.weights
    assert model.token_flops == 2 * (48 * 17 + 4 * 17 + 16 * 5)  # no embeddings
