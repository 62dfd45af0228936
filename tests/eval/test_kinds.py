"""The kinds of eval_kinds/, from the tests to the scores."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from dataselect.dedup.tasks import read_tests
from dataselect.eval.generation import decode_output
from dataselect.eval.kind_needs import Needs, check_columns, check_needs
from dataselect.eval.run import EvalOptions, evaluate
from dataselect.eval.summary import summary
from dataselect.eval.task_kinds import check_kind, kind_metadata, output_tokens, task_kinds
from dataselect.plan.code import code_hash
from tests.eval.test_sandbox import with_sandbox
from tests.helpers import MODEL, ROOT, mistake, table

OPTIONS = EvalOptions(
    max_new_tokens=6, batch_size=4, long_prompts="error", limit=None, threads=None
)
KINDS = sorted(path.stem for path in (ROOT / "eval_kinds").glob("*.yaml"))


@pytest.fixture(autouse=True)
def home(in_scratch):
    shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")


def change(kind, *changes):
    """Writes a kind anew with other texts in it."""
    path = Path(f"eval_kinds/{kind}.yaml")
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def made_tests(kind, *rows, check=None, task="t"):
    """A tests table of questions and gold answers."""
    turns = [
        [{"role": "user", "content": question}, {"role": "assistant", "content": gold}]
        for question, gold in rows
    ]
    columns = [None] * 4
    return table(
        "tests",
        [
            (task, str(number), turn, turn[1]["content"], None, kind, *columns, check)
            for number, turn in enumerate(turns)
        ],
    )


def skip_where_lacking(kind):
    for name in kind_metadata(kind).get("packages", ()):
        if not importlib.util.find_spec(name):
            pytest.skip(f"{name} is not installed")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_whole(kind, monkeypatch):
    monkeypatch.setattr("dataselect.eval.kind_needs.check_sandbox", lambda: None)
    skip_where_lacking(kind)
    check_kind(kind, "here", run_code=True)
    assert (output_tokens(kind, 7) == 0) == (kind == "multiple_choice")


def test_code_runs_only_where_it_is_allowed_and_possible(monkeypatch):
    monkeypatch.setattr("dataselect.eval.kind_needs.check_sandbox", lambda: None)
    tests = made_tests("program_of_thought", ("1 + 1?", "2"))
    expected = (
        "tests.path: task t: the kind `program_of_thought` runs programs that a model has "
        "generated. Set `eval.run_code: true` to allow that, under bubblewrap; or use another kind."
    )
    assert mistake(task_kinds, tests, {}) == expected
    assert mistake(evaluate, replace(MODEL, name="no/such/model"), tests, OPTIONS) == expected
    assert task_kinds(tests, {}, run_code=True) == {"t": "program_of_thought"}
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "")
    assert "is not installed" in mistake(task_kinds, tests, {}, run_code=True)


def test_a_package_or_a_column_that_is_lacking_is_named():
    lacking = Needs(packages=["json", "no_such_package"])
    assert mistake(check_needs, "k", lacking, "eval.kinds.t", False) == (
        "eval.kinds.t: the kind `k` needs no_such_package: not installed. Install it. Our own "
        "kinds need: pip install 'dataselect[metrics]' (also in a clone)."
    )
    for name in ("no.such.thing", ""):
        assert "not installed" in mistake(check_needs, "k", Needs(packages=[name]), "t", False)
    tests = made_tests("pass_at_k", ("1?", "2"), ("3?", "4"))
    assert mistake(check_columns, "t", "k", Needs(columns=["check"]), tests) == (
        "tests.path: 2 of 2 tests of t have no `check`, which the kind `k` needs: 0, 1. Add it, or "
        "use another kind."
    )
    blank = tests.with_columns(check=pl.lit(" "))
    assert "2 of 2" in mistake(check_columns, "t", "k", Needs(columns=["check"]), blank)
    message = mistake(check_columns, "t", "k", Needs(columns=["chek"]), tests)
    assert message.startswith("the kind `k`: metadata.columns: tests have no column `chek`.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metadata: 3", "eval_kinds/own.yaml: metadata: expected lines of `name: value`, found 3"),
        ("metadata: {runs_code: 2}", "eval_kinds/own.yaml: metadata.runs_code: expected"),
        ("metadata: {packages: a}", "eval_kinds/own.yaml: metadata.packages: expected"),
        ("repeats: 0", "eval_kinds/own.yaml: repeats: expected"),
        ("generation_kwargs: {do_sample: true, min_p: 0.1}",
         "eval_kinds/own.yaml: generation_kwargs: min_p: outputs are drawn with"),
        ("process_results: !function dataselect.eval.metrics.squadd",
         "eval_kinds/own.yaml: !function dataselect.eval.metrics.squadd: there is no such"),
        ("process_results: !function dataselect.eval.metric.squad",
         "eval_kinds/own.yaml: !function dataselect.eval.metric.squad: there is no such"),
        ("metadata: {k: [10, 1]}\nrepeats: 4",
         "eval_kinds/own.yaml: metadata.k: expected at most the 1 samples"),
        ("metadata: {k: [10, 1]}\nrepeats: 4\nfilter_list: [{name: a, filter: [{function: "
         "take_first_k, k: 10}]}]", "eval_kinds/own.yaml: metadata.k: expected at most the 4"),
        (
            "generation_kwargs: {do_sample: true, temperature: 0}",
            "eval_kinds/own.yaml: temperature: expected greater than 0",
        ),
        ("generation_kwargs: {do_sample: true, top_p: 2}", "eval_kinds/own.yaml: top_p: expected"),
    ],
)  # fmt: skip
def test_a_kind_that_is_wrong_is_refused(text, message):
    Path("eval_kinds/own.yaml").write_text(text)
    assert mistake(check_kind, "own", "eval.kinds.t").startswith(message)


def test_the_code_of_metrics_decides_the_scores():
    script = ROOT / "stages" / "eval.py"
    assert code_hash(script, "eval.run") != code_hash(script, "eval.run", "eval.metrics")


@pytest.mark.slow
def test_an_output_that_is_the_gold_answer_scores_all():
    questions = ["Name a colour.", "Count to three, slowly."]
    greedy = made_tests("exact_match", *((question, "x") for question in questions))
    outputs = [text.strip() for text in evaluate(MODEL, greedy, OPTIONS)["output"]]
    kinds = ["bbh", "bleu", "rouge_l", "squad_f1", "tydiqa_f1"]
    for kind in ("bbh", "squad_f1", "tydiqa_f1"):
        change(kind, (f"max_gen_toks: {output_tokens(kind, 6)}", "max_gen_toks: 6"))
    rows = [(questions[0], outputs[0]), (questions[1], "quite another thing, isn't it")]
    tests = pl.concat([made_tests(kind, *rows, task=kind) for kind in kinds])
    frame = evaluate(MODEL, tests, OPTIONS)
    assert [text.strip() for text in frame["output"]] == outputs * len(kinds)
    assert frame["value"].to_list()[::2] == pytest.approx([1] * len(kinds))
    assert max(frame["value"].to_list()[1::2]) < 0.5
    others = {True: [{"metric": "exact_match", "value": 1.0}], False: None}
    assert frame["other_metrics"].to_list()[::2] == [others[kind[-2:] == "f1"] for kind in kinds]
    scores = summary(frame)["tasks"]
    assert scores["tydiqa_f1"]["other_metrics"] == {"exact_match": 0.5}
    assert "other_metrics" not in scores["bbh"]


@pytest.mark.slow
def test_an_output_ends_where_its_kind_says():
    tests = made_tests("exact_match", ("Name a colour.", "x"))
    output = evaluate(MODEL, tests, OPTIONS)["output"][0]
    stop = output[len(output) // 2]
    change("exact_match", ("until: []", f"until: [{json.dumps(stop)}]"))
    assert evaluate(MODEL, tests, OPTIONS)["output"][0] == output.split(stop)[0].strip()


@pytest.mark.slow
@with_sandbox
def test_samples_are_drawn_run_and_counted_alike_in_every_batch_and_order():
    options = replace(OPTIONS, run_code=True)
    change("pass_at_k", ("max_gen_toks: 512", "max_gen_toks: 5"))
    change("pass_at_k", ('until: ["', 'until: ["\\n", "\\r", "\\f", "'))  # outputs of one line
    rows = [("Write a program.", "x = 1"), ("Write a program.", "x = 2")]
    tests = made_tests("pass_at_k", *rows, check="# {{ output }}")
    frame = evaluate(MODEL, tests, options)
    samples = [json.loads(output) for output in frame["output"]]
    assert [len(texts) for texts in samples] == [10, 10]
    assert len(set(samples[0])) > 3
    assert samples[0] != samples[1]  # equal prompts, but tests of their own
    assert frame["metric"].to_list() == ["pass@10"] * 2
    assert frame["value"].to_list() == [1.0, 1.0]
    assert frame["other_metrics"][0].to_list() == [{"metric": "pass@1", "value": 1.0}]
    assert evaluate(MODEL, tests, replace(options, batch_size=7)).equals(frame)
    assert evaluate(MODEL, tests[::-1], options).equals(frame[::-1])
    other = evaluate(MODEL, tests, replace(options, seed=1))
    assert json.loads(other["output"][0]) != samples[0]


def test_an_output_keeps_the_space_that_it_begins_with():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"▁a": 0, "▁▁▁": 1, "▁return": 2, "a": 3, "<unk>": 4}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]  # as Llama 2's
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner)
    assert tokenizer.decode([1, 2]) == "   return"
    assert decode_output(tokenizer, [1, 2]) == "    return"
    assert decode_output(tokenizer, []) == ""


def test_a_check_is_read_as_it_stands(in_scratch):
    check = "  x = {{ output }}\n"
    row = {"id": "1", "prompt": "Return 1.", "answer": "return 1", "check": check}
    Path("code.jsonl").write_text(
        json.dumps(row) + "\n" + json.dumps({**row, "id": "2", "check": None})
    )
    tests = read_tests(["code.jsonl"], "all")
    assert tests["check"].to_list() == [check, None]
