"""Evaluation: summaries by hand, and lm-eval's outputs against plain generation."""

import math
import re
import shutil
import sys
from dataclasses import replace
from functools import partial

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from dataselect import report
from dataselect.data import tables
from dataselect.errors import InputError
from dataselect.eval.run import (
    EvalOptions,
    EvalSettings,
    evaluate,
    report_truncated,
)
from dataselect.eval.summary import summary
from dataselect.models.chat import Chat, load_chat, mark_last_response
from dataselect.models.load import load_causal, load_tokenizer
from dataselect.models.nll import token_losses
from dataselect.settings import check_settings
from tests.helpers import MODEL, ROOT, merging_model, mistake, table

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(in_scratch):
    shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")
    return in_scratch


def options(**changes):
    """The options that plan makes of the defaults of params.yaml, with some changed."""
    settings = {**check_settings(EvalSettings, {}, "eval"), "judge": None, **changes}
    return EvalOptions(*(settings[name] for name in EvalOptions.__dataclass_fields__))


def table_of_tests(rows):
    """A tests table of (task, id, question, answer, choices, kind)."""
    full = [
        (
            task,
            name,
            [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
            answer,
            choices,
            kind,
        )
        for task, name, question, answer, choices, kind in rows
    ]
    return table("tests", full)


def test_a_summary_by_hand():
    others = [[{"metric": "em", "value": value}] for value in (1.0, 0.5)]
    rows = [
        ("a", "1", "exact_match", 1.0, 2.0, "x", False),
        ("a", "2", "exact_match", 0.0, 4.0, "y", False),
        ("b", "1", "acc", 1.0, 1.0, "z", False, others[0]),
        ("b", "2", "acc", 1.0, float("nan"), "z", False, others[1]),
    ]
    scores = summary(table("evaluation", rows))
    # a: mean 1/2, standard deviation √½, over √2 tests: ½
    assert scores["tasks"]["a"] == {
        "tests": 2,
        "score": 0.5,
        "score_stderr": 0.5,
        "answer_nll_nats": 3.0,
        "answer_nll_nats_stderr": 1.0,
    }
    assert scores["tasks"]["b"]["answer_nll_nats"] == 1.0  # a test without a loss is left out
    assert scores["tasks"]["b"]["other_metrics"] == {"em": 0.75}
    assert scores["mean"] == {
        "score": 0.75,
        "score_stderr": 0.25,  # √(½² + 0²) / 2
        "answer_nll_nats": 2.0,
        "answer_nll_nats_stderr": 0.5,
    }


def test_a_task_of_subtasks_has_the_mean_of_their_means():
    rows = [
        ("bbh", "1", "em", 1.0, 1.0, "x", False, [{"metric": "f1", "value": 1.0}], "easy"),
        ("bbh", "2", "em", 1.0, 1.0, "x", False, [{"metric": "f1", "value": 1.0}], "easy"),
        ("bbh", "3", "em", 1.0, 1.0, "x", False, [{"metric": "f1", "value": 0.5}], "easy"),
        ("bbh", "4", "em", 0.0, float("nan"), "x", False, [{"metric": "f1", "value": 0.0}], "hard"),
        ("bbh", "5", "em", 1.0, 2.0, "x", False, None, "hard"),
    ]
    scores = summary(table("evaluation", rows))["tasks"]["bbh"]
    assert scores["score"] == 0.75  # (1 + ½) / 2, not 4/5
    assert scores["score_stderr"] == 0.25  # √(0² + ½²) / 2
    assert scores["answer_nll_nats"] == 1.5
    assert scores["other_metrics"] == {"f1": round((2.5 / 3 + 0.0) / 2, 6)}
    assert scores["tests"] == 5


def test_a_task_without_any_loss_is_left_out_of_the_mean():
    rows = [
        ("a", "1", "acc", 1.0, float("nan"), "x", False),
        ("b", "1", "acc", 0.0, 2.0, "x", False),
    ]
    scores = summary(table("evaluation", rows))
    assert scores["tasks"]["a"]["answer_nll_nats"] is None
    assert scores["mean"]["answer_nll_nats"] == 2.0


def test_an_empty_table_has_no_score():
    scores = summary(tables.empty("evaluation"))
    assert scores["tasks"] == {}
    assert set(scores["mean"].values()) == {None}


def test_without_tests_no_model_is_loaded():
    frame = evaluate(replace(MODEL, name="no/such/model"), tables.empty("tests"), options())
    tables.check("evaluation", frame)
    assert frame.is_empty()
    assert report_truncated(frame) == 0


def test_the_settings_of_params_are_checked_and_completed():
    settings = check_settings(EvalSettings, {"limit": 3, "kinds": {"t": "last_number"}}, "eval")
    assert settings["kinds"] == {"t": "last_number"}
    assert (settings["limit"], settings["before"], settings["batch_size"]) == (3, True, 16)
    assert check_settings(EvalSettings, {}, "eval")["kinds"] == {}
    with pytest.raises(InputError, match=r"eval\.limit: expected greater than or equal to 1"):
        check_settings(EvalSettings, {"limit": 0}, "eval")


def test_a_kind_without_a_file_is_refused():
    tests = table_of_tests([("t", "1", "q", "a", None, "exact")])
    with pytest.raises(InputError, match=r"task t: no kind is called `exact`\. Did you mean"):
        evaluate(MODEL, tests, options())


@pytest.mark.parametrize("shards", [1, 2])
def test_a_model_whose_weights_are_not_finite_is_refused_with_its_file(home, shards):
    net = load_causal(MODEL)
    weight = next(iter(net.model.layers)).mlp.up_proj.weight
    weight.data[0, 0] = math.nan
    size = sum(p.numel() * 4 for p in net.parameters())
    net.save_pretrained(home / "model", max_shard_size=size // shards + 4096 * (shards == 1))
    load_tokenizer(MODEL).save_pretrained(home / "model")
    tests = table_of_tests([("t", "1", "q", "a", None, "exact_match")])
    message = mistake(evaluate, replace(MODEL, name="model"), tests, options())
    found = re.match(r"(model/model\S*\.safetensors): `(\S+)`: expected finite", message)
    assert found, message
    assert math.isnan(load_file(home / found[1])[found[2]][0, 0])
    assert len(list((home / "model").glob("*.safetensors"))) >= shards
    assert "with a lower learning rate" in message


def greedy(question, tokens):
    """The model's output, token by token, without any library's generation."""
    net, tokenizer = load_causal(MODEL), load_tokenizer(MODEL)
    prompt = load_chat(MODEL).prompt([{"role": "user", "content": question}])
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").input_ids
    start = ids.shape[1]
    with torch.inference_mode():
        for _ in range(tokens):
            following = net(ids).logits[0, -1].argmax()
            if following == tokenizer.eos_token_id:
                break
            ids = torch.cat([ids, following.view(1, 1)], dim=1)
    return tokenizer.decode(ids[0, start:]).strip()


def test_outputs_scores_and_losses_are_those_of_the_model():
    questions = ["Name a colour.", "Count to three, slowly, and then say something else.", "Hi"]
    outputs = [greedy(question, 6) for question in questions]
    assert len(set(outputs)) > 1
    answers = [outputs[0], "something else", outputs[2]]
    tests = table_of_tests(
        [("t", str(i), questions[i], answers[i], None, "exact_match") for i in range(3)]
    )
    frame = evaluate(MODEL, tests, options(max_new_tokens=6, batch_size=2))
    assert frame["output"].to_list() == outputs
    assert frame["value"].to_list() == [1.0, 0.0, 1.0]
    assert frame["metric"].unique().to_list() == ["exact_match"]
    rows = [mark_last_response(row) for row in load_chat(MODEL).encode(tests["messages"].to_list())]
    expected = token_losses(load_causal(MODEL), rows).response
    assert frame["answer_nll_nats"].to_list() == pytest.approx(expected.tolist(), rel=1e-5)


def add_kind(home, name, result):
    """A kind of a user's own, whose metric is an expression of the test `doc`."""
    kind = (home / "eval_kinds/last_number.yaml").read_text().replace("last_number", name)
    (home / f"eval_kinds/{name}.yaml").write_text(kind)
    function = f"def results(doc, outputs):\n    return {{'{name}': float({result})}}\n"
    (home / f"eval_kinds/{name}.py").write_text(function)


def test_answers_that_look_like_dates_stay_text(home):
    tests = table_of_tests([("t", "2020-01-02", "When?", "2020-01-02", None, "date")])
    add_kind(home, "date", "doc['answer'] == '2020-01-02'")
    frame = evaluate(MODEL, tests, options(max_new_tokens=2))
    assert frame.select("id", "value").rows() == [("2020-01-02", 1.0)]


def test_multiple_choice_takes_the_likeliest():
    choices = ["blue", "a very long and quite unlikely answer", "7"]
    net, tokenizer, chat = load_causal(MODEL), load_tokenizer(MODEL), load_chat(MODEL)
    question = {"role": "user", "content": "Which?"}
    totals = []
    for choice in choices:
        text = chat.prompt([question]) + choice
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        count = len(tokenizer(choice, add_special_tokens=False).input_ids)
        with torch.inference_mode():
            logp = net(ids).logits[0, :-1].log_softmax(-1)
        picked = logp[torch.arange(ids.shape[1] - 1), ids[0, 1:]]
        totals.append(float(picked[-count:].sum()))
    likeliest = choices[max(range(3), key=totals.__getitem__)]
    other = next(c for c in choices if c != likeliest)
    tests = table_of_tests([("t", "1", "Which?", likeliest, choices, "multiple_choice"),
                         ("t", "2", "Which?", other, choices, "multiple_choice")])  # fmt: skip
    frame = evaluate(MODEL, tests, options())
    assert frame["value"].to_list() == [1.0, 0.0]
    assert frame["output"].to_list() == [likeliest] * 2
    assert frame["metric"].unique().to_list() == ["acc"]


LONG = "one two three " * 40


@pytest.mark.parametrize("kind", ["exact_match", "multiple_choice"])
def test_a_prompt_that_does_not_fit_is_refused(home, kind):
    model = merging_model(home / "model")  # reads 256 tokens
    named = {"short": "1?", "long": LONG}
    tests = table_of_tests([("t", n, text, "A", ["A", "B"], kind) for n, text in named.items()])
    with pytest.raises(InputError) as error:
        evaluate(model, tests, options(max_new_tokens=8))
    message = str(error.value)
    assert message.startswith(
        "tests.path: 1 of 2 prompts do not fit beside their answers into the "
    )
    assert "256 tokens that the model can read: `long` of t (" in message
    assert "at most 248 fit)" in message or kind == "multiple_choice"
    assert ("lower `eval.max_new_tokens`, " in message) == (kind == "exact_match")
    assert message.endswith("set `eval.long_prompts: truncate`, which cuts off their beginnings.")


def test_an_output_or_an_answer_that_leaves_no_place_for_a_prompt_is_refused(home):
    model = merging_model(home / "model")  # reads 256 tokens
    own = (home / "eval_kinds/exact_match.yaml").read_text()
    own = own.replace("do_sample: false", "do_sample: false, max_gen_toks: 300")
    (home / "eval_kinds/own.yaml").write_text(own)
    for kind, reply, advice in (
        ("exact_match", "A", "Lower `eval.max_new_tokens`."),
        ("own", "A", "Lower `max_gen_toks` in eval_kinds/own.yaml."),
        ("multiple_choice", "so " * 300, "Shorten the answer."),
    ):
        tests = table_of_tests([("t", "1", "1?", reply, [reply, "B"], kind)])
        with pytest.raises(InputError) as error:
            evaluate(model, tests, options(max_new_tokens=300))
        message = str(error.value)
        assert message.startswith("tests.path: `1` of t: output and answer need ")
        assert message.endswith(f" tokens; the model reads 256. {advice}")


def test_a_truncated_prompt_is_counted_and_the_same_for_loss_and_output(home, monkeypatch):
    model = merging_model(home / "model")
    net, chat = load_causal(model), load_chat(model, max_tokens=10**6)
    tests = table_of_tests(
        [("t", name, text, "AB", None, "exact_match") for name, text in (("s", "1?"), ("l", LONG))]
    )
    frame = evaluate(model, tests, options(max_new_tokens=8, long_prompts="truncate"))
    assert frame["truncated"].to_list() == [False, True]
    kept = chat.tokens(chat.prompt(tests["messages"][1].to_list()[:-1]))[-(256 - 8) :]
    answer = chat.encode([tests["messages"][1].to_list()])[0]
    ids = torch.tensor([*kept, *answer.ids[answer.response].tolist()])
    with torch.inference_mode():
        logp = net(ids[None]).logits[0, :-1].log_softmax(-1)
        output = net.generate(torch.tensor([kept]), max_new_tokens=8, do_sample=False)
    nll = -logp[torch.arange(len(kept) - 1, len(ids) - 1), ids[len(kept) :]].mean()
    assert frame["answer_nll_nats"][1] == pytest.approx(nll.item(), rel=1e-4)
    generated = chat.tokenizer.decode(output[0, len(kept) :], skip_special_tokens=True)
    assert frame["output"][1] == generated.strip()
    printed = []
    monkeypatch.setattr(report.console, "print", printed.append)
    assert report_truncated(frame) == 1
    assert printed[0].startswith("1 of 2 prompts are longer than the model can read")
    assert report_truncated(frame[:1]) == 0
    assert len(printed) == 1


def test_evaluation_reads_as_far_as_the_model_and_not_as_far_as_training(home):
    """`max_tokens` is the training's limit: it neither cuts a prompt nor the answer."""
    model = replace(merging_model(home / "model"), max_tokens=8)
    tests = table_of_tests([("t", "1", "one two three four", "AB", None, "exact_match")])
    frame = evaluate(model, tests, options(max_new_tokens=4))
    whole = evaluate(replace(model, max_tokens=256), tests, options(max_new_tokens=4))
    assert not math.isnan(frame["answer_nll_nats"][0])
    assert frame.equals(whole)


def with_prefill(home, answer, kind, **columns):
    """A model, its encoder, the prompt's tokens and a test that begin the answer themselves."""
    model = merging_model(home / "model")
    chat = load_chat(model)
    tests = table_of_tests([("t", "1", "Which?", answer, ["A", "B", "C"], kind)])
    tests = tests.with_columns(pl.lit(value).alias(name) for name, value in columns.items())
    prompt = "Which?" if columns.get("format") == "raw" else "<|user|>\nWhich?\n<|assistant|>\n"
    return model, chat, chat.tokens(prompt + "The answer is:"), tests


@pytest.mark.parametrize("format_", ["chat", "raw", None])
def test_generation_starts_from_the_prefill_and_its_tokens_are_not_graded(home, format_):
    columns = {"prefill": "The answer is:", "format": format_}
    model, chat, ids, tests = with_prefill(home, " AB", "exact_match", **columns)
    tests = tests.with_columns(answer=pl.lit("AB"), choices=None)
    frame = evaluate(model, tests, options(max_new_tokens=6))
    net, answer = load_causal(model), chat.tokens(" AB", with_prefix=False)
    with torch.inference_mode():
        output = net.generate(torch.tensor([ids]), max_new_tokens=6, do_sample=False)
        logp = net(torch.tensor([ids + answer])).logits[0, :-1].log_softmax(-1)
    generated = chat.tokenizer.decode(output[0, len(ids) :], skip_special_tokens=True)
    assert frame["output"][0] == generated.strip()
    nll = [-logp[len(ids) - 1 + i, token].item() for i, token in enumerate(answer)]
    assert frame["answer_nll_nats"][0] == pytest.approx(sum(nll) / len(nll), rel=1e-4)


def test_choices_follow_the_prefill_with_the_space_of_the_answer(home, monkeypatch):
    columns = {"prefill": "The answer is:"}
    model, chat, ids, tests = with_prefill(home, " A", "multiple_choice", **columns)
    seen = []
    split = Chat.split
    monkeypatch.setattr(Chat, "split", lambda *a, **k: seen.append(split(*a, **k)) or seen[-1])
    evaluate(model, tests.with_columns(answer=pl.lit("A")), options(max_new_tokens=2))
    assert {tuple(before) for before, _ in seen} == {tuple(ids)}
    assert {chat.tokenizer.decode(after) for _, after in seen} == {" A", " B", " C"}


def test_a_tests_own_limit_refuses_or_truncates_its_prompt(home):
    columns = {"prefill": "The answer is:", "max_tokens": 10}
    model, _, ids, tests = with_prefill(home, " A", "exact_match", **columns)
    with pytest.raises(InputError) as error:
        evaluate(model, tests, options(max_new_tokens=2))
    assert str(error.value) == (
        f"tests.path: 1 of 1 prompts are longer than their own limit: `1` of t ({len(ids)} tokens; "
        "its own `max_tokens` is 10). Shorten them, raise their `max_tokens`, or set "
        "`eval.long_prompts: truncate`, which cuts off their beginnings."
    )
    frame = evaluate(model, tests, options(max_new_tokens=2, long_prompts="truncate"))
    assert frame["truncated"].to_list() == [True]


def test_choices_are_scored_after_the_prompt_that_training_shows(home):
    """A tokenizer that merges the header's newline: lm-eval's own split of the text loses it."""
    model = merging_model(home / "model")
    net, chat = load_causal(model), load_chat(model)
    choices, questions = list("ABCDEFGH"), [f"{'why ' * (i % 3)}{i}?" for i in range(30)]
    tests = table_of_tests([("t", q, q, "A", choices, "multiple_choice") for q in questions])
    (first,) = chat.encode(tests["messages"].to_list()[:1])
    assert "|>Ċ" in chat.tokenizer.convert_ids_to_tokens(first.ids)

    def log_probability(question, choice):
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": choice}]
        (row,) = chat.encode([turns])
        ids = torch.from_numpy(row.ids).long()
        assert row.response.sum() == 2  # the choice and eos
        return net(ids[None]).logits[0, -3].log_softmax(-1)[ids[-2]].item()

    with torch.inference_mode():
        likeliest = [max(choices, key=partial(log_probability, q)) for q in questions]
    assert len(set(likeliest)) > 1
    assert evaluate(model, tests, options(max_new_tokens=4))["output"].to_list() == likeliest


def test_numbers_are_compared_as_the_last_ones(home):
    sys.path.insert(0, str(home / "eval_kinds"))
    from last_number import results

    gold = {"answer": "so 1,204 #### 1,012"}
    assert results(gold, ["3 and then 1012.0 apples"]) == {"last_number": 1.0}
    assert results(gold, ["1,012 and then 3"]) == {"last_number": 0.0}
    assert results(gold, ["none"]) == {"last_number": 0.0}
    several = {"answer": "3", "answers": ["3", "4"]}
    assert results(several, ["it is 4"]) == {"last_number": 1.0}
    assert results(several, ["it is 5"]) == {"last_number": 0.0}


#: Texts and their last numbers; those of the published code, but for its loss of every minus of a
#: whole number.
NUMBERS = {
    "so .5": 0.5,
    "20-15": 15.0,
    "20 - 15": 15.0,
    "x-3": 3.0,
    "(4)-3": 3.0,
    "it is -15": -15.0,
    "-15": -15.0,
    "$-1.5": -1.5,
    "-.25": -0.25,
    "1,204.": 1204.0,
    "1,204.50 in all": 1204.5,
    "7.": 7.0,
    "none": None,
}


@pytest.mark.parametrize("text", NUMBERS)
def test_the_last_number_of_a_text(home, monkeypatch, text):
    monkeypatch.syspath_prepend(home / "eval_kinds")
    from last_number import last_number

    assert last_number(text) == NUMBERS[text]


def test_any_of_several_answers_is_right(home):
    output = greedy("Hi", 6)
    model, choices = merging_model(home / "model"), ["A", "B", "C"]
    tests = table_of_tests(
        [("t", f"{i}", "Hi", "no", None, "exact_match") for i in range(3)]
    ).with_columns(answers=pl.Series([["no", output], ["no", "neither"], None]))
    assert evaluate(MODEL, tests, options(max_new_tokens=6))["value"].to_list() == [1.0, 0.0, 0.0]
    tests = table_of_tests([("t", "1", "Which?", "A", choices, "multiple_choice")])
    likeliest = evaluate(model, tests, options(max_new_tokens=2))["output"][0]
    first, second, third = likeliest, *(choice for choice in choices if choice != likeliest)
    tests = table_of_tests(
        [("t", f"{i}", "Which?", second, choices, "multiple_choice") for i in range(3)]
    ).with_columns(answers=pl.Series([None, [second, third], [second, first]]))
    frame = evaluate(model, tests, options(max_new_tokens=2))
    assert frame["value"].to_list() == [0.0, 0.0, 1.0]


def test_a_kinds_own_output_limit_counts(home):
    kind = (home / "eval_kinds/exact_match.yaml").read_text()
    for name in ("max_gen_toks", "max_new_tokens"):
        own = kind.replace("do_sample: false", f"do_sample: false, {name}: 2")
        (home / f"eval_kinds/{name}.yaml").write_text(own)
    tests = table_of_tests(
        [
            (k, "1", "Name a colour.", "a", None, k)
            for k in ("exact_match", "max_gen_toks", "max_new_tokens")
        ]
    )
    frame = evaluate(MODEL, tests, options(max_new_tokens=6))
    expected = [greedy("Name a colour.", tokens) for tokens in (6, 2, 2)]
    assert frame["output"].to_list() == expected
    assert expected[0] != expected[1]


def test_users_can_add_a_kind_and_tasks_have_their_own(home):
    add_kind(home, "length", "len(doc['answer'])")
    tests = table_of_tests(
        [("t", "1", "q", "four", None, "length"), ("u", "1", "q", "4", None, "last_number")]
    )
    frame = evaluate(MODEL, tests, options(max_new_tokens=2))
    assert frame["metric"].to_list() == ["length", "last_number"]
    assert frame["value"][0] == 4.0


def test_a_limit_takes_the_first_tests_of_every_task():
    tests = table_of_tests(
        [(t, str(i), "q", "a", None, "exact_match") for t in "ab" for i in range(3)]
    )
    frame = evaluate(MODEL, tests, options(max_new_tokens=1, limit=2))
    assert frame.select("task", "id").rows() == [("a", "0"), ("a", "1"), ("b", "0"), ("b", "1")]
    assert not any(math.isnan(v) for v in frame["answer_nll_nats"])


def test_clusters_of_tests_reach_the_evaluation():
    rows = [("t", "1", "q", "a", None, "exact_match"), ("t", "2", "r", "a", None, "exact_match")]
    tests = table_of_tests(rows).with_columns(cluster=pl.Series([None, "passage"]))
    frame = evaluate(MODEL, tests, options(max_new_tokens=1))
    tables.check("evaluation", frame)
    assert frame["cluster"].to_list() == [None, "passage"]
