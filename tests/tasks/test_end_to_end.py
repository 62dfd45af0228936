"""Each task end to end on made rows: fetched, read, generated for, and scored as worked here.

The demo's model says nothing of use about these rows. So the gold answers of every other test are
made of what it does put out, and its outputs do not depend on them.
"""

import ast
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from dataselect.compute import no_progress
from dataselect.dedup.tasks import read_tests
from dataselect.eval.run import EvalOptions, evaluate
from dataselect.eval.summary import summary
from dataselect.eval.task_kinds import kind_metadata
from dataselect.models.settings import ModelSettings
from dataselect.tasks import BY_PROGRAM, load_task, published_shots, task_names
from dataselect.tasks.run import make_task
from dataselect.train.fit import Recipe
from dataselect.train.run import TrainSection, train
from tests.eval.test_bert_scorer import tiny_encoder
from tests.eval.test_sandbox import with_sandbox
from tests.helpers import ROOT
from tests.models import change_json
from tests.tasks.made_rows import data_set, humaneval_files, mmlu_row, problem, squad_row
from tests.tasks.test_clinical import OPEN_I, radsum, report

pytestmark = pytest.mark.slow

MODEL = ModelSettings(name="model", dtype="float32")
OUTPUT_TOKENS = 24


@pytest.fixture(autouse=True)
def home(in_scratch):
    """The kinds, with short outputs, and the demo's model, which may read long prompts here."""
    shutil.copytree(ROOT / "eval_kinds", in_scratch / "eval_kinds")
    for kind in Path("eval_kinds").glob("*.yaml"):
        short = re.sub(r"max_gen_toks: \d+", f"max_gen_toks: {OUTPUT_TOKENS}", kind.read_text())
        kind.write_text(short)
    shutil.copytree(ROOT / "demo/base_model", "model")
    change_json(Path("model/config.json"), max_position_embeddings=8192)
    return in_scratch


class Case(NamedTuple):
    """A task whose outputs are texts.

    Attributes:
        write: writes the task's data set with these gold answers of its tests.
        gold: an output → a gold answer that it scores above 0 with.
        wrong: a gold answer that no output scores with.
        value: output, gold answer → the score of the test, worked by hand.
        subtasks: those of the tests where the score is the mean over them.
        count: how many tests there are, where they have no subtasks.
    """

    write: Callable[[list[Any]], None]
    gold: Callable[[str], Any]
    wrong: Any
    value: Callable[[str, Any], float]
    subtasks: list[str] | None = None
    count: int = 4


def write_gsm8k(golds):
    rows = [{"question": f"What is {i} + 3?", "answer": f"So it is <<{g}>>.\n#### {g}"}
            for i, g in enumerate(golds)]  # fmt: skip
    data_set("openai/gsm8k", {("main", "test"): rows})


def last_number(text):
    found = re.findall(r"\d+(?:\.\d+)?", text)
    return found[-1] if found else None


def same_number(output, gold):
    return float(last_number(output) is not None and float(last_number(output)) == float(gold))


def write_squad(golds):
    train_rows = [squad_row(f"train-{i}", f"Context {i}.", "Who?", f"a{i}") for i in range(3)]
    rows = [squad_row(f"test-{i}", f"Passage {i}: it is red.", "Which colour?", *gold)
            for i, gold in enumerate(golds)]  # fmt: skip
    splits = {("default", "train"): train_rows, ("default", "validation"): rows}
    data_set("rajpurkar/squad", splits)


TYDIQA_TESTS = ["finnish", "finnish", "english", "finnish"]


def write_tydiqa(golds):
    languages = sorted(published_shots("tydiqa"))
    rows = [
        squad_row(f"{language}-{i}", f"P{i}.", "Q?", *gold)
        for i, (language, gold) in enumerate(zip(TYDIQA_TESTS, golds, strict=True))
    ]
    train_rows = [squad_row(f"{name}-train", "P", "Q?", "A") for name in languages]
    splits = {("secondary_task", "train"): train_rows, ("secondary_task", "validation"): rows}
    data_set("google-research-datasets/tydiqa", splits)


def some_words(output):
    """Two gold answers: one of a part of the output's words and a word that it lacks."""
    return ["zz qq", " ".join([*output.split()[2:5], "xyz"])]


def words(text):
    return Counter(word for word in plain(text).split() if word not in ("a", "an", "the"))


def nearest_f1(output, golds):
    found = words(output)
    return max(
        2 * (found & words(gold)).total() / (found.total() + words(gold).total()) for gold in golds
    )


BBH_TESTS = ["boolean_expressions", "boolean_expressions", "navigate"]


def write_bbh(golds):
    rows = defaultdict(list)
    for name, gold in zip(BBH_TESTS, golds, strict=True):
        rows[name].append({"input": f"not ( {len(rows[name])} ) is", "target": gold})
    schema = {"input": pl.String, "target": pl.String}
    splits = {(name, "test"): pl.DataFrame(rows[name], schema) for name in published_shots("bbh")}
    data_set("lukaemon/bbh", splits)


def bbh_answer(text):
    """What follows "the answer is", up to a full stop; else all."""
    after = re.search(r"[Tt]he answer is (.*?)\.", text)
    return (after[1] if after else text).strip()


def plain(text):
    return re.sub(r"[^\w\s]", "", text.lower())


def write_mmlu(golds):
    rows = [mmlu_row(f"Question {i}?", "anatomy", "ABCD".index(g)) for i, g in enumerate(golds)]
    splits = {("all", "dev"): [mmlu_row("0?", "anatomy", 3)], ("all", "test"): rows}
    data_set("cais/mmlu", splits)


REPORTS = [("lungs are clear .", "a"), ("mild edema .", "b"), ("no rib is broken .", "c")]


def write_clinical(golds):
    """MIMIC-III's files; BERTScore by a small encoder."""
    reports = [(findings, gold) for (findings, _), gold in zip(REPORTS, golds, strict=True)]
    radsum(validate=[("heart is large .", "cardiomegaly .")], test=reports)
    with_small_encoder()


def write_open_i(golds):
    reports = [report(findings, gold) for (findings, _), gold in zip(REPORTS, golds, strict=True)]
    validation = [report("Heart is large.", "Cardiomegaly.")]
    splits = {("default", name): validation for name in ("train", "validation")}
    data_set(OPEN_I, splits | {("default", "test"): reports})
    with_small_encoder()


def with_small_encoder():
    kind = Path("eval_kinds/summary.yaml")
    if "roberta-large" in kind.read_text():
        encoder = f"{tiny_encoder(Path('encoder'))}, layer: 1"
        kind.write_text(kind.read_text().replace("roberta-large, layer: 17", encoder))


def rouge_l(output, gold):
    """The F-measure of the longest common subsequence of words."""
    found, expected = (re.findall(r"[a-z0-9]+", text.lower()) for text in (output, gold))
    longest = [[0] * (len(expected) + 1) for _ in range(len(found) + 1)]
    for i, word in enumerate(found):
        for j, other in enumerate(expected):
            equal = longest[i][j] + 1 if word == other else 0
            longest[i + 1][j + 1] = max(equal, longest[i][j + 1], longest[i + 1][j])
    return 2 * longest[-1][-1] / (len(found) + len(expected))


CASES = {
    "gsm8k": Case(write_gsm8k, lambda output: last_number(output) or "5", "98765", same_number),
    "squad": Case(write_squad, some_words, ["zz qq"], nearest_f1),
    "tydiqa": Case(write_tydiqa, some_words, ["zz qq"], nearest_f1, TYDIQA_TESTS),
    "bbh": Case(
        write_bbh,
        bbh_answer,
        "zz qq",
        lambda output, gold: float(plain(bbh_answer(output)) == plain(gold)),
        BBH_TESTS,
    ),
    "mmlu": Case(
        write_mmlu,
        str,
        None,  # that is one which the output is not
        lambda output, gold: float(output == gold),
    ),
    "clinical": Case(
        write_clinical, lambda output: some_words(output)[1], "zz qq", rouge_l, count=3
    ),
    "open_i": Case(write_open_i, lambda output: some_words(output)[1], "zz qq", rouge_l, count=3),
}

#: Tasks with a test of their own: below; S2L's six sets in test_math_end_to_end.py; what a judge
#: scores in tests/eval/test_judged.py.
OTHERS = {
    "alpaca_eval",
    "humaneval",
    "gsm8k_zero_shot",
    "math",
    "mathematics",
    "numglue",
    "simuleq",
    "svamp",
}


def test_every_task_with_tests_is_run_end_to_end():
    with_tests = {name for name in task_names() if load_task(name, "test").tests is not None}
    assert {name.removesuffix(BY_PROGRAM) for name in with_tests} == {*CASES, *OTHERS}


def scored(name, model=MODEL, **options):
    """The evaluation of a task, fetched and read as a user's run does."""
    task = load_task(name, "test")
    for package in kind_metadata(task.kind).get("packages", ()):
        pytest.importorskip(package)
    make_task(name, task, Path("made"), {}, no_progress)
    tests = read_tests(["made/tests.parquet"], "all")
    defaults = {"max_new_tokens": OUTPUT_TOKENS, "batch_size": 4, "long_prompts": "error"}
    defaults |= {"limit": None, "threads": None}
    return tests, evaluate(model, tests, EvalOptions(**defaults | options))


@pytest.mark.parametrize("name", CASES)
def test_a_task_end_to_end(name):
    case = CASES[name]
    count = len(case.subtasks or ()) or case.count
    case.write([case.wrong or "A"] * count)
    outputs = scored(name)[1]["output"].to_list()
    wrong = case.wrong or "ABCD"["ABCD".index(outputs[1]) - 1]
    golds = [wrong if i % 2 else case.gold(output) for i, output in enumerate(outputs)]
    case.write(golds)
    tests, frame = scored(name)
    assert frame["output"].to_list() == outputs
    assert frame["id"].to_list() == tests["id"].to_list()
    values = [case.value(output, gold) for output, gold in zip(outputs, golds, strict=True)]
    assert max(values) > 0
    assert min(values) < 1
    assert frame["value"].to_list() == pytest.approx(values)
    assert frame["answer_nll_nats"].is_finite().all()
    parts = defaultdict(list)
    for subtask, value in zip(case.subtasks or [""] * count, values, strict=True):
        parts[subtask].append(value)
    score = sum(sum(part) / len(part) for part in parts.values()) / len(parts)
    found = summary(frame)["tasks"][name]
    assert found["score"] == pytest.approx(score, abs=1e-6)
    assert found["tests"] == count


def returns(code):
    """What a function without arguments returns at once; None where its code is none."""
    try:
        first = ast.parse(code).body[0].body[0]
    except SyntaxError:
        return None
    at_once = isinstance(first, ast.Return) and isinstance(first.value, ast.Constant)
    return first.value.value if at_once else None


@with_sandbox
def test_humaneval_end_to_end(home):
    """A model that has learned to return 1 everywhere, which one of three tests takes for wrong."""
    # Of one line: between a prompt's last newline and an indent tokenizers see no border.
    shape = {"canonical_solution": " 1\n"}
    problems = [problem(i) | shape | {"prompt": f"def f{i}(): return"} for i in range(4)]
    problems[3]["test"] = problems[3]["test"].replace("== 1", "== 7")
    humaneval_files(problems, [problems[1]])
    lines = [
        {
            "id": row["task_id"],
            "source": "s",
            "messages": [
                {"role": "user", "content": f"Write {row['entry_point']}."},
                {
                    "role": "assistant",
                    "content": f"Here is the function:\n\n```python\n{row['prompt']} 1",
                },
            ],
        }
        for row in problems
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe = Recipe(steps=30, learning_rate=1e-3, batch_size=4, micro_batch_size=4, threads=1)
    train(TrainSection(MODEL, recipe, "code"), Path("rows.jsonl"), home / "fit", Path("curve.csv"))
    _, frame = scored("humaneval", ModelSettings(name="fit", dtype="float32"), run_code=True)
    assert frame["id"].to_list() == ["HumanEval/0", "HumanEval/2", "HumanEval/3"]
    right = [
        sum(returns(row["prompt"] + sample) == expected for sample in json.loads(output))
        for row, expected, output in zip(
            [problems[0], *problems[2:]], (1, 1, 7), frame["output"], strict=True
        )
    ]
    assert right[2] == 0
    assert min(right[:2]) > 0
    assert frame["value"].to_list() == [1.0, 1.0, 0.0]  # of ten samples one passes, or none
    (found,) = summary(frame)["tasks"].values()
    assert found["score"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["other_metrics"] == {"pass@1": pytest.approx(sum(right) / 30, abs=1e-6)}
