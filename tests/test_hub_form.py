"""All stages on data sets and a model in exactly the hub's form, with the model's own template."""

import json
import re

import polars as pl
import pytest

from dataselect.models.config import read_object
from tests.eval.test_sandbox import with_sandbox
from tests.helpers import change, copy_project, run
from tests.models.hub_form import write_llama_3
from tests.tasks.made_rows import data_set, humaneval_files, problem, squad_row

TASKS = ("gsm8k", "squad", "humaneval")


def write_pool():
    """The pool's data set, of 24 rows of two sources."""
    rows = [
        {
            "dataset": ("cot", "code")[i % 2],
            "id": f"row-{i}",
            "messages": [
                {"role": "user", "content": f"Task {i % 12}: say {'it ' * (i % 5)}"},
                {"role": "assistant", "content": f"It is {i}."},
            ],
        }
        for i in range(24)
    ]
    data_set("made/pool", {("default", "train"): rows})


def write_tasks():
    """The tasks' data sets, of a few rows each."""
    sums = [{"question": f"{i} + 1?", "answer": f"It is.\n#### {i + 1}"} for i in range(3)]
    data_set("openai/gsm8k", {("main", "test"): sums})
    train = [squad_row(f"train-{i}", f"Context {i}.", "Who?", f"a{i}") for i in range(6)]
    tests = [squad_row(f"test-{i}", f"It is {i}.", "What?", f"{i}", "it") for i in range(3)]
    splits = {("default", "train"): train, ("default", "validation"): tests}
    data_set("rajpurkar/squad", splits)
    problems = [problem(number) for number in range(4)]
    humaneval_files(problems, problems[2:])


@pytest.fixture
def project(tmp_path, monkeypatch):
    home = copy_project(tmp_path)
    monkeypatch.chdir(home)
    write_pool()
    write_tasks()
    (home / "model").mkdir()
    write_llama_3(home / "model", max_position_embeddings=16_384)
    for kind in (home / "eval_kinds").glob("*.yaml"):
        kind.write_text(re.sub(r"max_gen_toks: \d+", "max_gen_toks: 8", kind.read_text()))
    named = {"from": list(TASKS)}
    settings = {
        "pool": {"path": "remote/pool.parquet", "on_bad_row": "drop", "cut_off": "keep"},
        "queries": named,
        "tests": named,
        "method": "rds",
        "budget": 6,
        "groups": "tasks",
        "model": {"name": "model", "chat": "model", "dtype": "float32", "max_tokens": 2048},
        "train": {"epochs": 2, "learning_rate": 2e-5, "batch_size": 4, "dtype": "float32"},
        "eval": {"max_new_tokens": 8, "batch_size": 16, "run_code": True},
    }
    change(settings, home / "params.yaml")
    change({"name": "made/pool"}, home / "remote/params.yaml")
    return home


@pytest.mark.slow
@with_sandbox
def test_the_papers_tasks_run_from_fetching_to_all_metrics(project):
    fetched = [f"remote/tasks/dvc.yaml:task@{name}" for name in TASKS]
    run("dvc", "repro", "remote/dvc.yaml", *fetched, cwd=project)
    run("dvc", "repro", cwd=project)
    selection = pl.read_parquet("out/selection.parquet")
    assert selection.height == 6
    assert set(selection["task"]) == set(TASKS)  # a round over the tasks
    scores = read_object(project / "metrics/eval.json")
    evaluation = pl.read_parquet("out/evaluation.parquet")
    metrics = dict(evaluation.select("task", "metric").unique().iter_rows())
    assert metrics == {"gsm8k": "last_number", "squad": "f1", "humaneval": "pass@10"}
    for task, tests in zip(TASKS, (3, 3, 2), strict=True):
        values = evaluation.filter(task=task)["value"]
        assert scores["tasks"][task]["tests"] == tests == len(values)
        assert scores["tasks"][task]["score"] == pytest.approx(values.mean(), abs=1e-6)
    samples = [json.loads(text) for text in evaluation.filter(task="humaneval")["output"]]
    assert [len(texts) for texts in samples] == [10, 10]
    assert scores["tasks"]["squad"]["other_metrics"].keys() == {"exact_match"}
    assert scores["tasks"]["humaneval"]["other_metrics"].keys() == {"pass@1"}
