"""The aggregate stage: scores → n rows, as a table, a training file, and plots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from dataselect.aggregate import Aggregator, Picks
from dataselect.aggregate._training_file import kept_columns, write_training_file
from dataselect.compute.prefetch import prefetch
from dataselect.data import tables
from dataselect.data.budget import Budget, TokenBudget, budget_rows
from dataselect.data.mix import MixSettings, training_order
from dataselect.data.quotas import RowTokens, choice_limits, epochs_by_source
from dataselect.data.schemas import TOOL_USE
from dataselect.data.scores import Block, Group, SingleGroup
from dataselect.errors import InputError
from dataselect.models.settings import TokenizerSettings
from dataselect.settings import Part, part_function

#: Scores read at a time: some tens of MB, however many groups there are.
SCORES_PER_BLOCK = 2**22


@dataclass(frozen=True)
class AggregateSection:
    """The plan's section `aggregate`.

    Attributes:
        aggregator: the aggregator and its settings.
        budget: a number of rows, a share of the pool such as "5%", or a number of tokens.
        code: the hash of the code that decides the selection.
        mix: how the selection is divided; None: as the method divides it.
        tokenizer: that of the model to be trained, for a budget in tokens; None for one in rows.
    """

    aggregator: Part
    budget: Budget
    code: str
    mix: MixSettings | None = None
    tokenizer: TokenizerSettings | None = None


class Selected(NamedTuple):
    """What the stage chose.

    Attributes:
        table: the selection table.
        used_up: task → how many of its groups' turns a row that was already chosen used up; empty
            where groups take no turns, or have no task.
        figures: `rows`; `lines` of the training file, where `mix.epochs` repeats rows; and
            `tokens` of the rows, each once, where they were counted.
        tokens_by_source: these, for each source; empty where they were not counted.
    """

    table: pl.DataFrame
    used_up: dict[str, int]
    figures: dict[str, int]
    tokens_by_source: dict[str, int]


def select(section: AggregateSection, out: Path) -> Selected:
    """Chooses the rows: writes `selection.parquet` and `train.jsonl`, best first.

    Args:
        out: the folder of the tables: pool, dropped, scores and groups, and what is written.

    Raises:
        InputError: the budget is above the number of rows, or of candidates, in the pool; or
            these do not meet the quotas.
    """
    scores, pool = out / "scores.parquet", out / "pool.parquet"
    row_count = tables.row_count(scores)
    n = budget_rows(section.budget, row_count, tables.read("dropped", out / "dropped.parquet"))
    epochs = epochs_by_source(pool, section.mix.epochs) if section.mix else {}
    part = section.aggregator
    aggregator: Aggregator = part_function("aggregate", part.name, "plan.json")
    table = tables.read("groups", out / "groups.parquet")
    groups = [Group(*row) for row in table.select("name", "task", "parent").iter_rows()]
    tokens = _row_tokens(section, pool)
    total = section.budget.tokens if isinstance(section.budget, TokenBudget) else n
    limits = choice_limits(section.mix or MixSettings(), pool, groups, total, tokens)
    picks = aggregator(lambda: read_scores(scores), groups, n, **limits, **part.settings)
    _check_count(len(picks.rows), 1 if tokens else n, row_count)
    chosen = _chosen_rows(picks, table, pool)
    selection = chosen.select(*tables.schema("selection"), *kept_columns(chosen.columns))
    tables.write("selection", selection, out / "selection.parquet")
    lines = training_order(selection["source"].to_list(), epochs)
    write_training_file(pool, picks.rows, lines, out / "train.jsonl")
    figures = {"rows": selection.height}
    if epochs:
        figures["lines"] = len(lines)
    by_source: dict[str, int] = {}
    if tokens:
        counts = [tokens.known[row] for row in picks.rows.tolist()]
        figures["tokens"] = sum(counts)
        per_row = selection.select("source", tokens=pl.Series(counts, dtype=pl.Int64))
        sums = per_row.group_by("source").agg(pl.col("tokens").sum()).sort("source")
        by_source = dict(sums.iter_rows())
    return Selected(selection, _by_task(groups, picks), figures, by_source)


def _check_count(chosen: int, expected: int, row_count: int) -> None:
    """Refuses a choice of fewer rows than are expected."""
    if chosen == 0:
        raise InputError(
            f"none of the {row_count} rows of the pool is a candidate for this method. Either it "
            "rules them all out, or its features have no finite number: then set `dtype: float32` "
            "for the model that computes them, or lower the `learning_rate` of the method's "
            "reference."
        )
    if chosen < expected:
        raise InputError(
            f"budget: {expected} rows requested, but only {chosen} of the {row_count} in the "
            f"pool are candidates for this method. Lower `budget` to at most {chosen}."
        )


def _row_tokens(section: AggregateSection, pool: Path) -> RowTokens | None:
    """What counts the tokens of rows, for a budget in tokens."""
    if section.tokenizer is None:
        return None
    from dataselect.models.token_counts import TokenCounts

    return TokenCounts(pool, section.tokenizer)


def _by_task(groups: list[Group], picks: Picks) -> dict[str, int]:
    """The turns that were used up, summed over each task's groups."""
    used_up: dict[str, int] = {}
    if picks.used_up is not None:
        for group, turns in zip(groups, picks.used_up.tolist(), strict=True):
            if group.task is not None:
                used_up[group.task] = used_up.get(group.task, 0) + turns
    return used_up


def read_scores(path: Path) -> Iterator[Block]:
    """The score matrix of a scores table, in blocks of rows."""
    rows = max(1_024, SCORES_PER_BLOCK // tables.list_size(path, "score"))
    for frame in prefetch(tables.iter_batches("scores", path, rows, columns=["group", "score"])):
        scores, groups = frame["score"].to_numpy(), frame["group"]
        yield scores if groups.null_count() else SingleGroup(groups.to_numpy(), scores[:, 0])


def _chosen_rows(picks: Picks, groups: pl.DataFrame, pool: Path) -> pl.DataFrame:
    """The chosen rows in order of choice, with what the selection adds; without their texts."""
    chosen = pl.DataFrame(
        {"rank": np.arange(len(picks.rows)), "row": picks.rows, "group": picks.groups}
    ).with_columns(score=pl.Series(picks.scores, dtype=pl.Float32))
    is_chosen = pl.col("row").is_in(picks.rows.tolist())
    rows = (
        pl.scan_parquet(pool, glob=False)
        .drop("messages", *TOOL_USE, strict=False)
        .filter(is_chosen)
        .collect()
    )
    return (
        chosen.join(rows, on="row", how="left")
        .join(groups.select("group", "task"), on="group", how="left")
        .sort("rank")
    )
