"""Metrics of whole tasks: sacrebleu's own values, values by hand, and where they are written."""

import math

import pytest

from dataselect.data import tables
from dataselect.eval.corpus import METRICS, bleu, corpus_metrics
from dataselect.eval.kind_needs import Needs, check_drawing, read_needs
from dataselect.eval.summary import summary, with_corpus_metrics
from tests.helpers import ROOT, mistake, table

pytest.importorskip("sacrebleu")

#: The example of sacrebleu's README; the values are those of its test/test_bleu.py at 2ae1366.
OUTPUTS = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
FIRST = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."]
SECOND = ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."]


@pytest.fixture(autouse=True)
def project(monkeypatch):
    monkeypatch.chdir(ROOT)


def row(task, name, output, subtask=None):
    return (task, name, "sentence_bleu", 0.5, 1.0, output, False, None, subtask)


def gold(task, name, *answers, kind="bleu"):
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answers[0]}]
    many = list(answers) if len(answers) > 1 else None
    columns = {"task": task, "id": name, "messages": turns, "answer": answers[0], "kind": kind}
    columns["answers"] = many
    return tuple(columns.get(column) for column in tables.schema("tests"))


def test_bleu_of_sacrebleus_own_tests():
    golds = [list(pair) for pair in zip(FIRST, SECOND, strict=True)]
    assert bleu(OUTPUTS, golds) == pytest.approx(0.48530827, abs=1e-8)
    assert bleu([""] * 3, golds) == 0.0


def test_bleu_by_hand():
    outputs, golds = ["a b c d", "e f g h x"], [["a b c d"], ["e f g h i"]]
    # Matches over n-grams, summed over both outputs: 8 of 9, 6 of 7, 4 of 5 and 2 of 3.
    expected = math.exp(sum(map(math.log, (8 / 9, 6 / 7, 4 / 5, 2 / 3))) / 4)
    assert bleu(outputs, golds) == pytest.approx(expected)
    # 5 tokens where 10 are expected: exp(1 − 10/5)
    assert bleu(["a b c d e"], [["a b c d e f g h i j"]]) == pytest.approx(math.exp(-1))


def test_bleu_of_all_outputs_is_not_the_mean_over_them():
    outputs, golds = ["a b c d e", "x"], [["a b c d e"], ["y"]]
    apart = (bleu(outputs[:1], golds[:1]) + bleu(outputs[1:], golds[1:])) / 2
    assert apart == pytest.approx(0.5)
    expected = math.exp(math.log(5 / 6) / 4)  # the pairs, triples … are all in the first output
    assert bleu(outputs, golds) == pytest.approx(expected)


def test_tests_may_have_different_numbers_of_answers():
    outputs = ["a b c d", "e f g h"]
    golds = [["x"], ["y", "z", "e f g h"]]
    # Of 8 words, 6 pairs, 4 triples and 2 of four words, half are right.
    assert bleu(outputs, golds) == pytest.approx(0.5)
    assert bleu(outputs[::-1], golds[::-1]) == pytest.approx(0.5)


def test_a_task_has_the_value_of_its_kind():
    rows = [row("a", "1", "a b c d"), row("a", "2", "e f g h x"), row("b", "1", "a b c d")]
    golds = [gold("a", "1", "a b c d"), gold("a", "2", "e f g h i", "z")]
    golds += [gold("b", "1", "a b c d", kind="exact_match"), gold("c", "1", "not scored")]
    frame = table("evaluation", rows)
    measured = corpus_metrics(frame, table("tests", golds))
    assert measured == {"a": {"corpus_bleu": 0.798408}}
    scores = summary(frame)
    added = with_corpus_metrics(scores, measured)
    assert added["tasks"]["a"] == scores["tasks"]["a"] | {"other_metrics": measured["a"]}
    assert added["tasks"]["b"] == scores["tasks"]["b"]
    assert added["mean"] == scores["mean"]
    assert "other_metrics" not in scores["tasks"]["a"]


def test_other_metrics_stay_beside_those_of_the_whole_task():
    scores = {"mean": {}, "tasks": {"a": {"score": 1.0, "other_metrics": {"bert_score": 0.5}}}}
    added = with_corpus_metrics(scores, {"a": {"corpus_bleu": 0.25}})
    others = {"bert_score": 0.5, "corpus_bleu": 0.25}
    assert added["tasks"]["a"] == {"score": 1.0, "other_metrics": others}


def test_subtasks_are_measured_apart_and_averaged():
    rows = [row("a", "1", "a b c d", "x"), row("a", "2", "e f g h", "x"), row("a", "3", "q", "y")]
    golds = [gold("a", "1", "a b c d"), gold("a", "2", "e f g h"), gold("a", "3", "r")]
    measured = corpus_metrics(table("evaluation", rows), table("tests", golds))
    assert measured == {"a": {"corpus_bleu": 0.5}}


def test_the_order_of_tests_does_not_count():
    rows = [row("a", str(i), text) for i, text in enumerate(OUTPUTS)]
    pairs = zip(FIRST, SECOND, strict=True)
    golds = table("tests", [gold("a", str(i), *pair) for i, pair in enumerate(pairs)])
    measured = corpus_metrics(table("evaluation", rows), golds)
    assert measured == {"a": {"corpus_bleu": 0.485308}}
    assert corpus_metrics(table("evaluation", rows)[::-1], golds[::-1]) == measured


def test_without_tests_nothing_is_measured():
    assert corpus_metrics(tables.empty("evaluation"), tables.empty("tests")) == {}


def test_a_metric_that_there_is_not_is_refused():
    assert read_needs({"corpus": ["bleu"]}, "here") == Needs(corpus=["bleu"])
    assert set(METRICS) == {"bleu"}
    assert mistake(read_needs, {"corpus": ["blue"]}, "here").startswith("here.corpus: expected")


def test_several_outputs_of_a_test_are_refused():
    settings = {"repeats": 2, "metadata": {"corpus": ["bleu"]}}
    assert mistake(check_drawing, settings, {}, "own.yaml") == (
        "own.yaml: metadata.corpus: such a metric takes one output of a test, and `repeats` is 2. "
        "Remove one of them."
    )
