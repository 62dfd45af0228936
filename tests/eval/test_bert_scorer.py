"""BERTScore's encoder: a tiny one, made here; wrong ones are found before anything costs time."""

import json
from pathlib import Path

import pytest

from dataselect.eval import metrics
from dataselect.eval.bert_scorer import bert_scorer, check_bert_scorer
from dataselect.eval.run import EvalOptions, evaluate
from tests.eval.test_kinds import made_tests
from tests.helpers import MODEL, ROOT, mistake

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "acute", "disease", "lungs", "clear"]


def tiny_encoder(folder):
    """A BERT of one layer and eight dimensions with random weights, saved in the hub's form."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in WORDS))
    BertTokenizer(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_kinds_without_bert_score_need_no_encoder():
    check_bert_scorer({})
    check_bert_scorer({"packages": ["sacrebleu"], "encoder": "no/such"})


def test_an_encoder_that_is_not_set_is_named():
    pytest.importorskip("bert_score")
    message = mistake(check_bert_scorer, {"packages": ["bert_score"], "layer": 1})
    assert message.startswith("eval_kinds: BERTScore needs `encoder` in the kind's `metadata`.")
    assert "needs `layer`" in mistake(bert_scorer, {"encoder": "x", "layer": None})


@pytest.mark.slow
def test_an_encoder_that_cannot_be_loaded_ends_the_run_before_a_model_is_loaded(
    in_scratch, monkeypatch
):
    pytest.importorskip("bert_score")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = Path("eval_kinds/summary.yaml")
    path.parent.mkdir()
    text = (ROOT / path).read_text()
    path.write_text(text.replace("roberta-large", str(in_scratch / "none")))
    tests = made_tests("summary", ("Are the lungs clear?", "yes"))
    options = EvalOptions(
        max_new_tokens=6, batch_size=4, long_prompts="error", limit=None, threads=None
    )
    monkeypatch.setattr("dataselect.models.load.load_causal", lambda model: pytest.fail("loaded"))
    message = mistake(evaluate, MODEL, tests, options)
    assert message.startswith(f"eval_kinds: the encoder `{in_scratch}/none` of BERTScore, layer 17")


@pytest.mark.slow
def test_bert_score_by_the_vectors_of_a_tiny_encoder(in_scratch):
    pytest.importorskip("bert_score")
    import torch
    from transformers import AutoModel

    folder = tiny_encoder(in_scratch / "encoder")
    net = AutoModel.from_pretrained(folder).eval()

    def vectors(*words):
        ids = torch.tensor([[2, *(WORDS.index(word) for word in words), 3]])
        with torch.inference_mode():
            states = net(ids, output_hidden_states=True).hidden_states[1][0]
        return torch.nn.functional.normalize(states, dim=-1)

    cosines = vectors("no", "acute", "disease") @ vectors("lungs", "clear").T
    precision, recall = cosines.amax(1)[1:-1].mean(), cosines.amax(0)[1:-1].mean()
    settings = json.dumps({"encoder": str(folder), "layer": 1})
    doc = {"id": "1", "answers": ["lungs clear"], "settings": settings}
    found = metrics.bert_score(doc, ["no acute disease"])["bert_score"]
    expected = float(2 * precision * recall / (precision + recall))
    assert found == pytest.approx(expected, abs=1e-4)
