"""Metrics of all outputs of a task together, beside those of each output.

A kind names them in its file: `metadata: {corpus: [bleu]}` is `bleu` here. They are means of no
tests' values, so they have no standard error and are no score: comparisons of runs pair tests.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest

import polars as pl

from dataselect.eval.task_kinds import kind_metadata

#: Outputs, and the gold answers of each → a value from 0 to 1.
CorpusMetric = Callable[[list[str], list[list[str]]], float]


def bleu(outputs: list[str], golds: list[list[str]]) -> float:
    """BLEU as sacrebleu defines it by default (Post 2018, arXiv 1804.08771), from 0 to 1.

    Its tokenizer is 13a, its smoothing `exp`, and case counts.

    Args:
        outputs: one for each test.
        golds: the gold answers of each, one or several.
    """
    from sacrebleu.metrics.bleu import BLEU

    # sacrebleu wants all first references, all second ones …; None where a test has fewer.
    references = [list(stream) for stream in zip_longest(*golds)]
    return min(1.0, BLEU().corpus_score(outputs, references).score / 100)


METRICS: dict[str, CorpusMetric] = {"bleu": bleu}


def corpus_metrics(evaluation: pl.DataFrame, tests: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Task → the metrics of its outputs together, by name (`corpus_bleu`), for kinds that have any.

    Where tests have subtasks, each is measured by itself, and a task has their mean.

    Args:
        evaluation: the `evaluation` table.
        tests: the `tests` table, for gold answers and kinds.

    Raises:
        InputError: the file of a kind cannot be read.
    """
    golds = tests.select(
        "task", "id", "kind", golds=pl.coalesce("answers", pl.concat_list("answer"))
    )
    joined = evaluation.join(golds, on=["task", "id"], how="inner", maintain_order="left")
    measured = {}
    for (task, kind), part in joined.group_by("task", "kind", maintain_order=True):
        names = (kind_metadata(str(kind)).get("corpus") or []) if kind else []
        if names:
            measured[str(task)] = {
                f"corpus_{name}": round(_mean_over_subtasks(part, METRICS[name]), 6)
                for name in names
            }
    return measured


def _mean_over_subtasks(tests: pl.DataFrame, metric: CorpusMetric) -> float:
    values = [
        metric(part["output"].fill_null("").to_list(), part["golds"].to_list())
        for _, part in tests.group_by("subtask", maintain_order=True)
    ]
    return sum(values) / len(values)
