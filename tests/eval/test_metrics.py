"""Metrics by hand, and against the examples of the official scorers."""

import json

import pytest

from dataselect.errors import InputError
from dataselect.eval import metrics
from dataselect.eval.task_kinds import kind_metadata
from tests.helpers import ROOT, minilm


def doc(*golds, **settings):
    return {"id": "1", "answers": list(golds), "settings": json.dumps(settings)}


def test_words_shared_by_hand():
    # 3 words of 4 that were found, and of 5 that were expected: 2 · 3 / 9
    scores = metrics.squad(doc("one two three four five"), ["The one, THREE two six!"])
    assert scores == {"f1": pytest.approx(2 / 3), "exact_match": 0.0}
    assert next(iter(scores)) == "f1"  # the first is the score
    # A word counts as often as it stands in both: 1 of 2, and of 1.
    assert metrics.squad(doc("so"), ["so so"])["f1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("golds", "output", "f1", "exact"),
    [
        (["1976"], "1976", 1, 1),  # of the card of `squad` in the library `evaluate`
        (["1976"], "1999", 0, 0),
        (["Denver Broncos", "The Denver Broncos!"], "denver  broncos.", 1, 1),
        (["Santa Clara, California", "Levi's Stadium"], "Levis stadium", 1, 1),
        (["Santa Clara, California", "Stadium"], "in Santa Clara", 2 / 3, 0),
        (["a"], "the", 0, 1),  # nothing is left of either, as in version 1.1
        (["athe a"], "athe", 1, 1),
        (["x"], "", 0, 0),
    ],
)
def test_the_nearest_of_all_gold_answers_counts(golds, output, f1, exact):
    scores = metrics.squad(doc(*golds), [output])
    assert scores == {"f1": pytest.approx(f1), "exact_match": exact}


@pytest.mark.parametrize(
    ("output", "gold", "right"),
    [
        ("Let's see. So the answer is (A).", "(A)", 1),
        ("The answer is Valid. The answer is invalid.", "valid", 1),  # the first, in any case
        ("the answer is 24", "24", 0),  # without a full stop the whole output is compared
        ("24", "24", 1),
        (" Yes. ", "yes", 1),
        ("so the answer is a\nb.", "a\nb", 0),  # on one line
        ("The answer is 3.5.", "3.5", 0),  # up to the first full stop, as published
        ("the answer is > ] }.", "> ) }", 1),  # as published
        ("", "no", 0),
    ],
)
def test_what_follows_the_answer_is(output, gold, right):
    settings = kind_metadata("bbh")
    assert metrics.bbh(doc("other", gold, **settings), [output]) == {"exact_match": right}


def test_brackets_are_told_apart_where_punctuation_counts():
    brackets = doc("> ) }", ignore_punctuation=False)
    assert metrics.bbh(brackets, ["the answer is > ] }."]) == {"exact_match": 0.0}
    assert metrics.bbh(brackets, ["the answer is > ) }."]) == {"exact_match": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gold", "output", "right"),
    [
        ("${1,3} \\cup {2,4}$", "${1,2,3,4}$", 1),  # of Math-Verify's README
        ("\\frac{1}{2}", "So it is $0.5$.", 1),
        ("\\boxed{42}", "the answer is \\boxed{42}.", 1),
        ("1/2", "Thus the answer is 0.5", 1),
        ("x^2 + 1", "\\boxed{1 + x^2}", 1),
        ("7", "first 7, then \\boxed{8}", 0),
        ("7", "", 0),
        ("\\$18.90", "\\boxed{\\$18.90}", 1),  # as MATH writes an amount of money
        ("\\$18.90", "It costs $18.90$.", 1),
    ],
)
def test_expressions_are_compared_by_value(gold, output, right):
    pytest.importorskip("math_verify")
    assert metrics.math(doc(gold), [output]) == {"math_verify": right}
    assert metrics.math(doc("10000", gold), [output]) == {"math_verify": right}


def test_bleu_by_hand_and_of_sacrebleus_tests():
    pytest.importorskip("sacrebleu")
    same = metrics.bleu(doc("the cat sat on the mat"), ["the cat sat on the mat"])
    assert same == {"sentence_bleu": pytest.approx(1)}
    # All of 3 words, 2 pairs and 1 triple are there; one word of 4 is lacking: exp(1 − 4/3)
    short = metrics.bleu(doc("a b c d"), ["a b c"])
    assert short["sentence_bleu"] == pytest.approx(0.716531, abs=1e-6)
    output = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;"
    gold = "producţia de zahăr brut se exprimă în zahăr alb;"
    assert metrics.bleu(doc(gold), [output])["sentence_bleu"] == pytest.approx(0.08493, abs=1e-5)
    assert metrics.bleu(doc("okay thanks"), ["this is a cat"]) == {"sentence_bleu": 0.0}
    assert metrics.bleu(doc("x"), [""]) == {"sentence_bleu": 0.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("golds", "output", "value"),
    [
        (["testing one two"], "testing one", 4 / 5),  # of rouge_score's tests
        (["testing one two"], "testing two", 4 / 5),
        (["testing one two"], "", 0),
        (["w1 w2", "testing one two"], "testing two", 4 / 5),
        (["cats"], "cat", 0),
    ],
)
def test_rouge_l_of_its_own_tests(golds, output, value):
    pytest.importorskip("rouge_score")
    scores = metrics.rouge_l(doc(*golds, use_stemmer=False), [output])
    assert scores == {"rouge_l": pytest.approx(value)}


@pytest.mark.slow
def test_rouge_l_with_a_stemmer():
    pytest.importorskip("rouge_score")
    assert metrics.rouge_l(doc("running", use_stemmer=True), ["runs"])["rouge_l"] == 1.0


@pytest.mark.slow
def test_bert_score_is_that_of_the_encoders_vectors():
    pytest.importorskip("bert_score")
    if minilm() is None:
        pytest.skip("no local encoder")
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm())
    net = AutoModel.from_pretrained(minilm()).eval()

    def vectors(text):
        ids = tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            states = net(**ids, output_hidden_states=True).hidden_states[4][0]
        return torch.nn.functional.normalize(states, dim=-1)

    output, golds = "no acute disease", ["lungs are clear", "there is no acute illness"]
    expected = []
    for gold in golds:
        cosines = vectors(output) @ vectors(gold).T
        # [CLS] and [SEP] may be what another token is nearest to; they have no weight themselves.
        precision, recall = cosines.amax(1)[1:-1].mean(), cosines.amax(0)[1:-1].mean()
        expected.append(float(2 * precision * recall / (precision + recall)))
    settings = {"encoder": str(minilm()), "layer": 4}
    found = metrics.bert_score(doc(*golds, **settings), [output])
    assert found == {"bert_score": pytest.approx(max(expected), abs=1e-4)}
    assert metrics.bert_score(doc("clear", **settings), ["clear"])["bert_score"] == pytest.approx(1)
    assert metrics.bert_score(doc("clear", **settings), [" "]) == {"bert_score": 0.0}
    with pytest.raises(InputError, match="layer 60, cannot be loaded: Invalid num_layers"):
        metrics.bert_score(doc("a", encoder=str(minilm()), layer=60), ["a"])


@pytest.fixture(autouse=True)
def project(monkeypatch):
    monkeypatch.chdir(ROOT)
