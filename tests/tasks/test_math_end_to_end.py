"""S2L's six sets end to end on made rows, with a model that has learned to answer some of them."""

import json
import os
import re
from pathlib import Path

import polars as pl
import pytest

from dataselect.eval.summary import summary
from dataselect.models.settings import ModelSettings
from dataselect.tasks import load_task
from dataselect.tasks._mammoth import ASK_FOR_A_PROGRAM
from dataselect.tasks.math import SUBJECTS
from dataselect.train.fit import Recipe
from dataselect.train.run import TrainSection, train
from tests.eval.test_sandbox import with_sandbox
from tests.helpers import ROOT
from tests.tasks.made_rows import data_set
from tests.tasks.test_end_to_end import home, scored
from tests.tasks.test_math_sets import repository

pytestmark = pytest.mark.slow

__all__ = ["home", "repository"]  # fixtures

QUESTIONS = ("Item 0?", "Item 1?", "Item 2?")
LEARNED = ("4", "15", "26")


@pytest.fixture(scope="module")
def answering(tmp_path_factory):
    """A model that answers each question with its number, or with a program that prints it."""
    folder, before = tmp_path_factory.mktemp("answering"), Path.cwd()
    lines = [
        {
            "id": f"{question}{number}",
            "source": "s",
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": response},
            ],
        }
        for item, number in zip(QUESTIONS, LEARNED, strict=True)
        for question, response in (
            (item, f"The answer is {number}."),
            (item + ASK_FOR_A_PROGRAM, f"print({number})"),
        )
    ]
    os.chdir(folder)  # what training leaves for a resumption goes there
    try:
        Path("rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        recipe = Recipe(steps=60, learning_rate=1e-3, batch_size=6, micro_batch_size=6, threads=1)
        model = ModelSettings(name=str(ROOT / "demo/base_model"), dtype="float32")
        train(TrainSection(model, recipe, "code"), Path("rows.jsonl"), Path("fit"), Path("curve"))
    finally:
        os.chdir(before)
    return ModelSettings(name=str(folder / "fit"), dtype="float32")


def write_math(golds):
    rows = [{"problem": question, "level": "Level 1", "type": "t", "solution": rf"\boxed{{{gold}}}"}
            for question, gold in zip(QUESTIONS, golds, strict=True)]  # fmt: skip
    table = pl.DataFrame(rows)
    empty = dict.fromkeys(((name, "test") for name in SUBJECTS[1:]), table.clear())
    data_set("EleutherAI/hendrycks_math", {(SUBJECTS[0], "test"): table} | empty)


def write_gsm8k(golds):
    rows = [{"question": question, "answer": f"#### {gold}"}
            for question, gold in zip(QUESTIONS, golds, strict=True)]  # fmt: skip
    data_set("openai/gsm8k", {("main", "test"): rows})


def svamp_row(question, gold):
    body, _, rest = question.partition(" ")
    return {"ID": "chal-1", "Body": f"{body} ", "Question": rest, "Answer": float(gold)}


def plain_row(question, gold):
    return {"question": question, "answer": gold, "type": "Type_2"}


#: Sets in files of a repository: their file, and a row of it.
FILES = {
    "mathematics": ("deepmind/deepmind.json", plain_row),
    "numglue": ("numglue/numglue.json", plain_row),
    "simuleq": ("simuleq/simuleq.json", plain_row),
    "svamp": ("SVAMP/SVAMP.json", svamp_row),
}
NAMES = ("gsm8k_zero_shot", "math", *FILES)


@pytest.mark.parametrize("name", [
    *NAMES, *(pytest.param(f"{name}_pot", marks=with_sandbox) for name in NAMES)
])  # fmt: skip
def test_a_set_end_to_end(name, answering, repository):
    golds = [LEARNED[0], "98765", LEARNED[2]]
    by_program, file = name.endswith("_pot"), name.removesuffix("_pot")
    if file in FILES:
        path, row = FILES[file]
        repository(path, [row(q, gold) for q, gold in zip(QUESTIONS, golds, strict=True)])
    else:
        (write_math if file == "math" else write_gsm8k)(golds)
    tests, frame = scored(name, answering, run_code=by_program)
    assert tests["kind"].unique().to_list() == [load_task(name, "test").kind]
    values = []
    for output, gold in zip(frame["output"], golds, strict=True):
        form = r"print\((\d+)\)" if by_program else r"The answer is (\d+)\."
        found = re.fullmatch(form, output.strip())
        assert found, output
        values.append(float(found[1] == gold))
    assert frame["value"].to_list() == values
    assert 0 < sum(values) < len(values)
    (found,) = summary(frame)["tasks"].values()
    assert found["score"] == pytest.approx(sum(values) / len(values), abs=1e-6)
