"""The profile `smoke`: the path of the papers' profiles, from a hub's files to scores, in small."""

import gzip
import json
import zipfile

import polars as pl
import pytest
import yaml

from tests.helpers import ROOT, copy_project, run
from tests.test_pipeline import ran

pytestmark = pytest.mark.torture

PROBLEMS = [
    {
        "task_id": f"HumanEval/{number}",
        "prompt": f"def add_{number}(x):\n",
        "canonical_solution": f"    return x + {number}\n",
        "test": f"def check(candidate):\n    assert candidate(1) == {1 + number}\n",
        "entry_point": f"add_{number}",
    }
    for number in range(6)
]


def data_set(folder, config="default", **splits):
    """A data set in the hub's form: Parquet files, and a card that names them by split."""
    folder.mkdir(parents=True)
    for split, rows in splits.items():
        pl.DataFrame(rows).write_parquet(folder / f"{split}-00000-of-00001.parquet")
    files = [{"split": split, "path": f"{split}-*.parquet"} for split in splits]
    card = {"configs": [{"config_name": config, "data_files": files}]}
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n")


def paragraph(number):
    return {
        "id": f"q{number}",
        "title": "Rivers",
        "context": f"The river number {number} flows into the lake of Arven.",
        "question": f"Into which lake does the river number {number} flow?",
        "answers": {"text": ["Arven"], "answer_start": [40]},
    }


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A clone; beside it, made rows under the names that the tasks and the pool have on the hub."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    home = copy_project(tmp_path / "project")
    sums = [{"question": f"What is {n} + 1?", "answer": f"It is.\n#### {n + 1}"} for n in range(9)]
    data_set(home / "openai/gsm8k", "main", test=sums)
    rows = [paragraph(number) for number in range(20)]
    data_set(home / "rajpurkar/squad", train=rows[:10], validation=rows[10:])
    data_set(home / "openai/openai_humaneval", test=PROBLEMS)
    asked = [
        {"task_id": f"Python/{n}", "instruction": f"Write a function that adds {n}."}
        for n in range(6)
    ]
    data_set(home / "bigcode/humanevalpack", "python", test=asked)
    (home / "hamishivi/lsds_data").mkdir(parents=True)
    lines = "".join(json.dumps(problem) + "\n" for problem in PROBLEMS[:2])
    with zipfile.ZipFile(home / "hamishivi/lsds_data/eval.zip", "w") as archive:
        packed = gzip.compress(lines.encode())
        archive.writestr("eval/codex_humaneval/HumanEval_dev.jsonl.gz", packed)
    pool = pl.read_parquet(ROOT / "demo/world/pool.parquet").head(4_000)
    rows = pool.select("id", "messages", pl.col("source").alias("dataset")).to_dicts()
    data_set(home / "hamishivi/200k-tulu-2-unbalanced", train=rows)
    return home


def test_the_profile_runs_from_the_hub_to_the_scores(project):
    shown = run("dataselect", "profile", "smoke", cwd=project).stdout
    commands = [line.split() for line in shown.partition("Next:\n")[2].splitlines()]
    assert [command[0] for command in commands] == ["dvc"] * 4 + ["dataselect", "dvc"]
    for command in commands[:-1]:
        run(*command, cwd=project)
    order = ran(run(*commands[-1], cwd=project).stdout)
    assert [name for name in order if name != "baseline"] == [
        *("dedup", "reference", "embed", "score", "aggregate", "train", "eval", "cost")
    ]
    pool = pl.read_parquet(project / "out/pool.parquet")
    assert 10 < pool.height < 100  # of 4,000, by the profile's condition
    selection = pl.read_parquet(project / "out/selection.parquet")
    assert selection.height == max(1, pool.height // 20)
    scores = json.loads((project / "metrics/eval.json").read_text())["tasks"]
    assert {name: task["tests"] for name, task in scores.items()} == {
        "gsm8k": 4,
        "humaneval": 4,
        "squad": 4,
    }
    assert all(0 <= task["score"] <= 1 for task in scores.values())
    assert "exact_match" in scores["squad"]["other_metrics"]
    assert "pass@1" in str(scores["humaneval"]["other_metrics"])
    costs = json.loads((project / "metrics/cost.json").read_text())
    assert costs["flops"]["paper"]["selection"] > 0
