"""The scores of a model on the tests: the loss of the gold answers, and each task's own metric."""

from __future__ import annotations

import math
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from annotated_types import Ge

from dataselect import report
from dataselect.data import files, fingerprint
from dataselect.errors import InputError
from dataselect.eval.task_kinds import KINDS, kinds_of

if TYPE_CHECKING:
    import polars as pl
    from transformers import PreTrainedModel

    from dataselect.models.chat import Chat

Count = Annotated[int, Ge(1)]


def evaluate(
    model: dict[str, Any],
    tests: pl.DataFrame,
    *,
    kinds: dict[str, str] = {},  # noqa: B006  (never written to; shown by the plan)
    max_new_tokens: Count = 256,
    batch_size: Count = 16,
    limit: Count | None = None,
    before: bool = True,
    threads: Count | None = None,
) -> pl.DataFrame:
    """Evaluates a model on every test: the `evaluation` table, in the tests' order.

    The loss is that of the last response given all before it, in nats per token. The metric is
    lm-eval's, on the prompt as the model was trained to see it, decoded greedily.

    Args:
        model: a model section; its folder holds the model and its tokenizer.
        kinds: task → kind, for tasks whose tests do not say: a file of `eval_kinds/`. Else
            `multiple_choice` where tests have choices, and `exact_match`.
        limit: only the first so many tests of every task.
        before: whether the stage evaluates the model before training as well (see `cached`).
        threads: CPU threads. None: all there are.

    Raises:
        InputError: a kind is not there; a choice is wanting; lm-eval is not installed.
    """
    import polars as pl

    from dataselect.data import tables
    from dataselect.models.chat import Chat
    from dataselect.models.load import load_causal, load_tokenizer, use_threads
    from dataselect.models.nll import last_response, losses_of

    use_threads(threads)
    if limit is not None:
        tests = tests.group_by("task", maintain_order=True).head(limit)
    of_task = kinds_of(tests, kinds)
    net, tokenizer = load_causal(model), load_tokenizer(model)
    chat = Chat(tokenizer, model["chat"], model["max_tokens"])
    with report.progress("loss of the answers", tests.height) as advance:
        gold = [last_response(row) for row in chat.encode(tests["messages"].to_list())]
        nll = losses_of(net, gold, advance).response
    scored = _by_lm_eval(net, chat, tests, of_task, max_new_tokens, batch_size)
    frame = tests.select("task", "id").with_columns(answer_nll_nats=pl.Series(nll))
    return frame.join(scored, on=["task", "id"], how="left", maintain_order="left").select(
        list(tables.SCHEMAS["evaluation"])
    )


def cached(
    model: dict[str, Any], tests: pl.DataFrame, settings: dict[str, Any]
) -> tuple[pl.DataFrame, bool]:
    """Evaluates a model as `evaluate`, once: the base model's scores are every method's.

    Returns:
        The evaluation, and whether it was already there.
    """
    from dataselect.data import tables
    from dataselect.models.load import torch_dtype

    kinds = sorted(str(p) for p in KINDS.glob("*") if p.is_file())
    rows = tests.write_json()
    precision = str(torch_dtype(model["dtype"]))
    code = fingerprint.code(Path(__file__))
    key = files.key(model, precision, settings, rows, code, fingerprint.md5s(kinds))
    path = files.root() / "eval" / f"{key}.parquet"
    if path.exists():
        return tables.read("evaluation", path), True
    frame = evaluate(model, tests, **settings)
    tables.write("evaluation", frame, path)
    return frame, False


def _by_lm_eval(
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
        source = yaml.load(Path(KINDS / f"{kind}.yaml").read_text(), _AnyTag)
        config.write_text(yaml.safe_dump(_config(number, kind, rows, source, max_new_tokens)))
        names[f"dataselect_{number}"] = task
    return names


class _AnyTag(yaml.SafeLoader):
    """Reads a kind's plain settings; lm-eval itself resolves its `!function` tags."""


_AnyTag.add_multi_constructor("!", lambda loader, suffix, node: None)


def _config(
    number: int, kind: str, rows: Path, source: dict[str, Any], max_new_tokens: int
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "include": str((KINDS / f"{kind}.yaml").resolve()),
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


def summary(evaluation: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Per task and for the mean over tasks: score and loss with their standard errors.

    A task's error is that of a mean over its tests; the mean's is √Σ(error²) / tasks.
    """
    tasks = {}
    for (task,), part in evaluation.group_by("task", maintain_order=True):
        tasks[str(task)] = {
            "tests": part.height,
            **_mean("score", part["value"]),
            **_mean("answer_nll_nats", part["answer_nll_nats"].drop_nans()),
        }
    mean: dict[str, Any] = {}
    for name in ("score", "answer_nll_nats"):
        there: list[dict[str, Any]] = [one for one in tasks.values() if one[name] is not None]
        values = [one[name] for one in there]
        errors = [one[f"{name}_stderr"] for one in there]
        mean[name] = round(sum(values) / len(values), 6) if values else None
        mean[f"{name}_stderr"] = (
            round(math.sqrt(sum(e * e for e in errors)) / len(errors), 6) if errors else None
        )
    return {"mean": mean, "tasks": tasks}


def _mean(name: str, values: pl.Series) -> dict[str, float | None]:
    if values.is_empty():
        return {name: None, f"{name}_stderr": None}
    spread = float(values.std() or 0.0)  # ty: ignore[invalid-argument-type]
    return {
        name: round(float(values.mean()), 6),  # ty: ignore[invalid-argument-type]
        f"{name}_stderr": round(spread / math.sqrt(len(values)), 6),
    }
