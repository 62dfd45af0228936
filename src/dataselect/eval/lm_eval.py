"""…"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from transformers import PreTrainedModel

from dataselect.errors import InputError
from dataselect.eval.task_kinds import KINDS_FOLDER
from dataselect.models.chat import Chat


def score_with_lm_eval(
    net: PreTrainedModel,
    chat: Chat,
    tests: pl.DataFrame,
    kinds: dict[str, str],
    max_new_tokens: int,
    batch_size: int,
) -> pl.DataFrame:
    """task, id, metric, value and output of every test, from lm-eval."""
    import polars as pl

    from dataselect.data import tables

    lm_eval, tasks, huggingface = _import_lm_eval()
    with tempfile.TemporaryDirectory() as folder:
        names = _write_tasks(Path(folder), chat, tests, kinds, max_new_tokens)
        manager = tasks.TaskManager(include_path=folder, include_defaults=False)
        lm = huggingface.HFLM(
            pretrained=net,
            tokenizer=chat.tokenizer,
            batch_size=batch_size,
            max_length=chat.max_tokens,
            add_bos_token=bool(chat.prefix),
        )
        if not sys.stderr.isatty():  # its bars are for people
            lm.generate_until = partial(lm.generate_until, disable_tqdm=True)
            lm.loglikelihood = partial(lm.loglikelihood, disable_tqdm=True)
        answer = lm_eval.simple_evaluate(
            lm, tasks=list(names), task_manager=manager, log_samples=True, bootstrap_iters=0
        )
    rows = [
        _row(names[name], sample)
        for name in names
        for sample in answer["samples"][name]
        if sample.get("filter") in (None, "none", answer["samples"][name][0].get("filter"))
    ]
    schema = {k: v for k, v in tables.SCHEMAS["evaluation"].items() if k != "answer_nll_nats"}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _import_lm_eval() -> tuple[Any, Any, Any]:
    import logging
    import os
    import warnings

    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    try:
        import lm_eval
        import lm_eval.tasks
        from lm_eval.models import huggingface
    except ImportError:
        raise InputError(
            "eval: lm-eval is not installed. Run `pip install 'dataselect[eval]'` (`make setup` "
            "does)."
        ) from None
    for name in ("lm_eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return lm_eval, lm_eval.tasks, huggingface


def _write_tasks(
    folder: Path, chat: Chat, tests: pl.DataFrame, kinds: dict[str, str], max_new_tokens: int
) -> dict[str, str]:
    """One lm-eval task a task of ours, over a local file. Returns its name → ours."""
    import polars as pl

    names = {}
    for number, (task, kind) in enumerate(kinds.items()):
        rows, config = folder / f"{number}.parquet", folder / f"{number}.yaml"
        part = tests.filter(pl.col("task") == task)
        prompts = [chat.prompt(turns[:-1]) for turns in part["messages"].to_list()]
        # Parquet, where text stays text: JSON readers take an answer like 2020-01-02 for a date.
        docs = part.select("id", "answer", "choices").with_columns(prompt=pl.Series(prompts))
        docs.write_parquet(rows)
        source = yaml.load(Path(KINDS_FOLDER / f"{kind}.yaml").read_text(), _AnyTag)
        config.write_text(yaml.safe_dump(_config(number, kind, rows, source, max_new_tokens)))
        names[f"dataselect_{number}"] = task
    return names


class _AnyTag(yaml.SafeLoader):
    """Reads a kind's plain settings; lm-eval itself resolves its `!function` tags."""


def _config(
    number: int, kind: str, rows: Path, source: dict[str, Any], max_new_tokens: int
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "include": str((KINDS_FOLDER / f"{kind}.yaml").resolve()),
        "task": f"dataselect_{number}",
        "dataset_path": "parquet",
        "dataset_kwargs": {
            "data_files": {"test": str(rows)},
            "cache_dir": str(rows.parent / "cache"),
        },
        "test_split": "test",
    }
    if source.get("output_type") == "generate_until":
        given = source.get("generation_kwargs") or {}
        config["generation_kwargs"] = {**given, "max_gen_toks": max_new_tokens}
    return config


def _row(task: str, sample: dict[str, Any]) -> list[Any]:
    metric = sample["metrics"][0]
    output = sample["filtered_resps"][0]
    if not isinstance(output, str):  # multiple choice: the log-likelihood of every choice
        best = max(
            range(len(sample["filtered_resps"])), key=lambda i: sample["filtered_resps"][i][0]
        )
        output = sample["doc"]["choices"][best]
    return [task, sample["doc"]["id"], metric, float(sample[metric]), output]
