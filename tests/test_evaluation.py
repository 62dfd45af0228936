"""Evaluation: summaries by hand, kinds of task, and lm-eval's answers against plain generation."""

import math
import shutil
import sys

import polars as pl
import pytest
import torch

from dataselect.data import tables
from dataselect.errors import InputError
from dataselect.eval.run import cached, evaluate, summary
from dataselect.eval.task_kinds import task_kinds
from dataselect.models.chat import Chat, mark_last_response
from dataselect.models.load import load_causal, load_tokenizer
from dataselect.models.nll import token_losses
from tests.helpers import ROOT


@pytest.fixture(autouse=True)
def home(in_scratch):
    shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")
    return in_scratch


def table(rows):
    """A tests table of (task, id, question, answer, choices, kind)."""
    full = [
        (
            task,
            name,
            [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}],
            answer,
            choices,
            kind,
        )
        for task, name, ask, answer, choices, kind in rows
    ]
    return pl.DataFrame(full, schema=tables.SCHEMAS["tests"], orient="row")


def test_a_summary_by_hand():
    frame = pl.DataFrame(
        [
            ("a", "1", "exact_match", 1.0, 2.0, "x"),
            ("a", "2", "exact_match", 0.0, 4.0, "y"),
            ("b", "1", "acc", 1.0, 1.0, "z"),
            ("b", "2", "acc", 1.0, float("nan"), "z"),
        ],
        schema=tables.SCHEMAS["evaluation"],
        orient="row",
    )
    scores = summary(frame)
    # a: mean 1/2, standard deviation √½, over √2 tests: ½
    assert scores["tasks"]["a"] == {
        "tests": 2,
        "score": 0.5,
        "score_stderr": 0.5,
        "answer_nll_nats": 3.0,
        "answer_nll_nats_stderr": 1.0,
    }
    assert scores["tasks"]["b"]["answer_nll_nats"] == 1.0  # a test without a loss is left out
    assert scores["mean"] == {
        "score": 0.75,
        "score_stderr": 0.25,  # √(½² + 0²) / 2
        "answer_nll_nats": 2.0,
        "answer_nll_nats_stderr": 0.5,
    }


def test_kinds_are_told_guessed_or_refused():
    tests = table(
        [
            ("plain", "1", "q", "a", None, None),
            ("choice", "1", "q", "a", ["a", "b"], None),
            ("said", "1", "q", "1", None, "last_number"),
            ("set", "1", "q", "1", None, "last_number"),
        ]
    )
    assert task_kinds(tests, {"set": "exact_match"}) == {
        "plain": "exact_match",
        "choice": "multiple_choice",
        "said": "last_number",
        "set": "exact_match",
    }
    with pytest.raises(InputError, match=r"no kind is called `exact`\. Did you mean `exact_match`"):
        task_kinds(tests, {"plain": "exact"})
    with pytest.raises(InputError, match=r"eval.kinds: `sett` has no tests. Did you mean `set`"):
        task_kinds(tests, {"sett": "exact_match"})
    two = table([("t", "1", "q", "1", None, "last_number"), ("t", "2", "q", "1", None, "mine")])
    with pytest.raises(InputError, match="expected one kind, found last_number, mine"):
        task_kinds(two, {})
    with pytest.raises(InputError, match="'c' is not among the choices"):
        task_kinds(table([("t", "1", "q", "c", ["a", "b"], None)]), {})


def greedy(model, ask, tokens):
    """What the model says, token by token, without any library's generation."""
    net, tokenizer = load_causal(model), load_tokenizer(model)
    prompt = Chat(tokenizer, "tulu", 2048).prompt([{"role": "user", "content": ask}])
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    start = ids.shape[1]
    with torch.inference_mode():
        for _ in range(tokens):
            following = net(ids).logits[0, -1].argmax()
            if following == tokenizer.eos_token_id:
                break
            ids = torch.cat([ids, following.view(1, 1)], dim=1)
    return tokenizer.decode(ids[0, start:]).strip()


def test_outputs_scores_and_losses_are_the_models(model_section, home):
    asked = ["Name a colour.", "Count to three, slowly, and then say something else.", "Hi"]
    said = [greedy(model_section, ask, 6) for ask in asked]
    assert len(set(said)) > 1
    answers = [said[0], "something else", said[2]]
    tests = table([("t", str(i), asked[i], answers[i], None, None) for i in range(3)])
    answer = evaluate(model_section, tests, max_new_tokens=6, batch_size=2)
    assert answer["output"].to_list() == said
    assert answer["value"].to_list() == [1.0, 0.0, 1.0]
    assert answer["metric"].unique().to_list() == ["exact_match"]
    chat = Chat(load_tokenizer(model_section), "tulu", 2048)
    rows = [mark_last_response(row) for row in chat.encode(tests["messages"].to_list())]
    expected = token_losses(load_causal(model_section), rows).response
    assert answer["answer_nll_nats"].to_list() == pytest.approx(expected.tolist(), rel=1e-5)


def test_answers_that_look_like_dates_stay_text(model_section, home):
    tests = table([("t", "2020-01-02", "When?", "2020-01-02", None, "said")])
    kind = (home / "eval_kinds/last_number.yaml").read_text().replace("last_number", "said")
    (home / "eval_kinds/said.yaml").write_text(kind)
    (home / "eval_kinds/said.py").write_text(
        "def results(doc, outputs):\n    return {'said': float(doc['answer'] == '2020-01-02')}\n"
    )
    answer = evaluate(model_section, tests, max_new_tokens=2)
    assert answer.select("id", "value").rows() == [("2020-01-02", 1.0)]


def test_multiple_choice_takes_the_likeliest(model_section, home):
    choices = ["blue", "a very long and quite unlikely answer", "7"]
    net, tokenizer = load_causal(model_section), load_tokenizer(model_section)
    chat = Chat(tokenizer, "tulu", 2048)
    ask = {"role": "user", "content": "Which?"}
    totals = []
    for choice in choices:
        text = chat.prompt([ask]) + choice
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        count = len(tokenizer(choice, add_special_tokens=False).input_ids)
        with torch.inference_mode():
            logp = net(ids).logits[0, :-1].log_softmax(-1)
        picked = logp[torch.arange(ids.shape[1] - 1), ids[0, 1:]]
        totals.append(float(picked[-count:].sum()))
    likeliest = choices[max(range(3), key=totals.__getitem__)]
    other = next(c for c in choices if c != likeliest)
    tests = table([("t", "1", "Which?", likeliest, choices, None),
                   ("t", "2", "Which?", other, choices, None)])  # fmt: skip
    answer = evaluate(model_section, tests)
    assert answer["value"].to_list() == [1.0, 0.0]
    assert answer["output"].to_list() == [likeliest] * 2
    assert answer["metric"].unique().to_list() == ["acc"]


def test_numbers_are_compared_as_the_last_ones(home):
    sys.path.insert(0, str(home / "eval_kinds"))
    from last_number import results

    gold = {"answer": "so 1,204 #### 1,012"}
    assert results(gold, ["3 and then 1012.0 apples"]) == {"last_number": 1.0}
    assert results(gold, ["1,012 and then 3"]) == {"last_number": 0.0}
    assert results(gold, ["none"]) == {"last_number": 0.0}


def test_a_kind_may_be_the_users_own(model_section, home):
    kind = (home / "eval_kinds/last_number.yaml").read_text()
    (home / "eval_kinds/length.yaml").write_text(kind.replace("last_number", "length"))
    (home / "eval_kinds/length.py").write_text(
        "def results(doc, outputs):\n    return {'length': float(len(doc['answer']))}\n"
    )
    tests = table([("t", "1", "q", "four", None, "length"), ("u", "1", "q", "4", None, None)])
    answer = evaluate(model_section, tests, kinds={"u": "last_number"}, max_new_tokens=2)
    assert answer["metric"].to_list() == ["length", "last_number"]
    assert answer["value"][0] == 4.0


def test_the_model_before_training_is_evaluated_once(model_section, home):
    tests = table([("t", "1", "q", "a", None, None)])
    settings = {"max_new_tokens": 2, "batch_size": 1}
    one, found = cached(model_section, tests, settings)
    assert not found
    two, found = cached(model_section, tests, settings)
    assert found
    assert one.equals(two)
    (home / "eval_kinds/__pycache__").mkdir()  # as Python leaves it beside a kind's functions
    _, found = cached(model_section, tests, {**settings, "max_new_tokens": 3})
    assert not found


def test_a_limit_takes_the_first_tests_of_every_task(model_section, home):
    tests = table([(t, str(i), "q", "a", None, None) for t in "ab" for i in range(3)])
    answer = evaluate(model_section, tests, max_new_tokens=1, limit=2)
    assert answer.select("task", "id").rows() == [("a", "0"), ("a", "1"), ("b", "0"), ("b", "1")]
    assert not any(math.isnan(v) for v in answer["answer_nll_nats"])
