"""Made rows in the data sets' own schemas, as folders in the form of a hub's."""

import gzip
import json
import zipfile
from pathlib import Path

import polars as pl
import yaml


def data_set(name, splits):
    """A folder in the form of a hub's data set: (config, split) → rows, in parquet files."""
    folder = Path(name)
    configs = {}
    for (config, split), rows in splits.items():
        path = folder / config / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows).write_parquet(path)
        files = configs.setdefault(config, [])
        files.append({"split": split, "path": f"{config}/{split}-*.parquet"})
    listed = [{"config_name": name, "data_files": files} for name, files in configs.items()]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': listed})}---\n")


def authors_zip(**members):
    """The file `eval.zip` of the RDS+ paper's authors, with some of its members."""
    folder = Path("hamishivi/lsds_data")
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "eval.zip", "w") as archive:
        for name, rows in members.items():
            lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
            archive.writestr(name, gzip.compress(lines) if name.endswith(".gz") else lines)


def mmlu_row(question, subject, answer):
    return {
        "question": question,
        "subject": subject,
        "choices": ["w", "x", "y", "z"],
        "answer": answer,
    }


def squad_row(name, context, question, *answers):
    """A row of SQuAD, and of TyDi QA's gold passages."""
    starts = list(range(len(answers)))
    return {
        "id": name,
        "title": "t",
        "context": context,
        "question": question,
        "answers": {"text": list(answers), "answer_start": starts},
    }


def problem(number):
    """A row of HumanEval: a function without arguments that returns 1."""
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": f"def f{number}():\n",
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
        "entry_point": f"f{number}",
    }


def humaneval_files(problems, queries):
    """The three sources of HumanEval; `queries` are those of the authors' split."""
    data_set("openai/openai_humaneval", {("default", "test"): problems})
    pack = [
        {"task_id": f"Python/{number}", "instruction": f"Write f{number}."}
        for number in range(len(problems))
    ]
    data_set("bigcode/humanevalpack", {("python", "test"): pack})
    authors_zip(**{"eval/codex_humaneval/HumanEval_dev.jsonl.gz": queries})
