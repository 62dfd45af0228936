"""The scores of a model on the tests: the loss of the gold answers, and each task's own metric."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from dataselect import report
from dataselect.data import files, fingerprint
from dataselect.eval.lm_eval import _AnyTag, score_with_lm_eval
from dataselect.eval.task_kinds import KINDS_FOLDER, task_kinds

if TYPE_CHECKING:
    import polars as pl


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

    from dataselect.compute.threads import use_threads
    from dataselect.data import tables
    from dataselect.models.chat import Chat, mark_last_response
    from dataselect.models.load import load_causal, load_tokenizer
    from dataselect.models.nll import token_losses

    use_threads(threads)
    if limit is not None:
        tests = tests.group_by("task", maintain_order=True).head(limit)
    of_task = task_kinds(tests, kinds)
    net, tokenizer = load_causal(model), load_tokenizer(model)
    chat = Chat(tokenizer, model["chat"], model["max_tokens"])
    with report.progress("loss of the answers", tests.height) as advance:
        gold = [mark_last_response(row) for row in chat.encode(tests["messages"].to_list())]
        nll = token_losses(net, gold, advance).response
    scored = score_with_lm_eval(net, chat, tests, of_task, max_new_tokens, batch_size)
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

    kinds = sorted(str(p) for p in KINDS_FOLDER.glob("*") if p.is_file())
    rows = tests.write_json()
    precision = str(torch_dtype(model["dtype"]))
    code = fingerprint.code_hash(Path(__file__))
    key = files.content_key(model, precision, settings, rows, code, fingerprint.file_hashes(kinds))
    path = files.scratch_folder() / "eval" / f"{key}.parquet"
    if path.exists():
        return tables.read("evaluation", path), True
    frame = evaluate(model, tests, **settings)
    tables.write("evaluation", frame, path)
    return frame, False


_AnyTag.add_multi_constructor("!", lambda loader, suffix, node: None)


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
