"""Runs lm-eval on our tests: writes them as tasks of its own form, and reads its results back."""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dataselect.errors import InputError, install_extra
from dataselect.eval.language_model import Encoder, language_model
from dataselect.eval.task_kinds import (
    OUTPUT_LIMITS,
    kind_file,
    kind_metadata,
    kind_settings,
    output_tokens,
)

if TYPE_CHECKING:
    import polars as pl
    from transformers import PreTrainedModel


def score_with_lm_eval(
    net: PreTrainedModel,
    encoder: Encoder,
    tests: pl.DataFrame,
    kinds: dict[str, str],
    max_new_tokens: int,
    batch_size: int,
) -> pl.DataFrame:
    """The columns task, id, metric, value, output and other_metrics of every test.

    Args:
        net: the model, in evaluation mode.
        encoder: encodes the prompts, which are those of the tests.
        kinds: task → kind: a file of `eval_kinds/`.
        max_new_tokens: the longest output of a kind that does not limit its own, in tokens.
        batch_size: prompts that pass through the model together.

    Raises:
        InputError: lm-eval is not installed.
    """
    import polars as pl

    from dataselect.data import tables

    lm_eval, tasks = _import_lm_eval()
    with tempfile.TemporaryDirectory() as folder:
        names = _write_tasks(Path(folder), encoder, tests, kinds, max_new_tokens)
        manager = tasks.TaskManager(include_path=folder, include_defaults=False)
        lm = language_model(net, encoder, batch_size)
        _hide_progress_bars(lm)
        results = lm_eval.simple_evaluate(
            lm, tasks=list(names), task_manager=manager, log_samples=True, bootstrap_iters=0
        )
    samples = results["samples"]
    # A sample is logged once per filter of its task: the first filter's value is the score.
    rows = [
        _row(task, sample)
        for name, task in names.items()
        for sample in samples[name]
        if sample.get("filter") in (None, "none", samples[name][0].get("filter"))
    ]
    columns = tables.schema("evaluation")
    written = ("task", "id", "metric", "value", "output", "other_metrics")
    schema = {name: columns[name] for name in written}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _hide_progress_bars(lm: Any) -> None:
    if not sys.stderr.isatty():  # they are for people, not for logs
        lm.generate_until = partial(lm.generate_until, disable_tqdm=True)
        lm.loglikelihood = partial(lm.loglikelihood, disable_tqdm=True)


def _import_lm_eval() -> tuple[Any, Any]:
    import logging
    import os
    import warnings

    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    try:
        import lm_eval
        import lm_eval.models.huggingface
        import lm_eval.tasks
    except ImportError:
        raise InputError(
            f"eval: lm-eval is not installed. Install it: {install_extra('eval')}."
        ) from None
    for name in ("lm_eval", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return lm_eval, lm_eval.tasks


def _write_tasks(
    folder: Path, encoder: Encoder, tests: pl.DataFrame, kinds: dict[str, str], max_new_tokens: int
) -> dict[str, str]:
    """Writes an lm-eval task, over a local file, for each of ours: its name there → ours."""
    import polars as pl

    names = {}
    docs = tests.select(
        "task",
        "id",
        "answer",
        "choices",
        "check",
        answers=pl.coalesce("answers", pl.concat_list("answer")),
        prompt=pl.Series([prompt.text for prompt in encoder.prompts]),
        number=pl.int_range(tests.height),
    )
    for number, (task, kind) in enumerate(kinds.items()):
        rows, config = folder / f"{number}.parquet", folder / f"{number}.yaml"
        # Parquet, where text stays text: JSON readers take an answer like 2020-01-02 for a date.
        settings = pl.lit(json.dumps(kind_metadata(kind))).alias("settings")
        docs.filter(pl.col("task") == task).with_columns(settings).write_parquet(rows)
        config.write_text(yaml.safe_dump(_config(number, kind, rows, max_new_tokens)))
        names[f"dataselect_{number}"] = task
    return names


def _config(number: int, kind: str, rows: Path, max_new_tokens: int) -> dict[str, Any]:
    """An lm-eval task: the kind's settings, with our rows and limits."""
    config: dict[str, Any] = {
        "include": str(kind_file(kind).resolve()),
        "task": f"dataselect_{number}",
        "dataset_path": "parquet",
        "dataset_kwargs": {
            "data_files": {"test": str(rows)},
            "cache_dir": str(rows.parent / "cache"),
        },
        "test_split": "test",
    }
    template = kind_settings(kind)
    if template.get("output_type") == "generate_until":
        generation = template.get("generation_kwargs") or {}
        kept = {name: value for name, value in generation.items() if name not in OUTPUT_LIMITS}
        config["generation_kwargs"] = {**kept, "max_gen_toks": output_tokens(kind, max_new_tokens)}
    return config


def _row(task: str, sample: dict[str, Any]) -> list[Any]:
    """A sample that lm-eval logged, as task, id, metric, value, output and other_metrics."""
    metric, *others = sample["metrics"]
    values = [{"metric": name, "value": float(sample[name])} for name in others]
    return [
        task,
        sample["doc"]["id"],
        metric,
        float(sample[metric]),
        _output(sample),
        values or None,
    ]


def _output(sample: dict[str, Any]) -> str:
    """What the model put out: its text, several texts as JSON, or the likeliest choice."""
    output = sample["filtered_resps"][0]
    if isinstance(output, str):
        return output
    if isinstance(output[0], str):
        return json.dumps(output, ensure_ascii=False)
    likelihoods = [response[0] for response in sample["filtered_resps"]]
    return sample["doc"]["choices"][likelihoods.index(max(likelihoods))]
