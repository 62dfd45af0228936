"""scores → n rows: the selection, the training file, and what is plotted of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dataselect.aggregate import Picks
from dataselect.compute.prefetch import prefetch
from dataselect.data import files, tables
from dataselect.data.budget import budget_rows
from dataselect.data.scores import Block, Group, SingleGroup
from dataselect.errors import InputError
from dataselect.settings import part_function


def select(section: dict[str, Any], out: Path) -> pl.DataFrame:
    """Chooses the rows: writes `selection.parquet` and `train.jsonl`, best first.

    Raises:
        InputError: the budget is above the pool, or above the rows that are candidates.
    """
    scores = out / "scores.parquet"
    height = tables.row_count(scores)
    n = budget_rows(section["budget"], height, tables.read("dropped", out / "dropped.parquet"))
    aggregator = section["aggregator"]
    of = part_function("aggregate", aggregator["name"], "plan.json")
    groups = tables.read("groups", out / "groups.parquet")
    names = [Group(*row) for row in groups.select("name", "task", "parent").iter_rows()]
    picks = of(lambda: read_scores(scores), names, n, **aggregator["settings"])
    if len(picks.rows) == 0:
        raise InputError(
            f"none of the {height} rows of the pool is a candidate for this method. Either it "
            "rules them all out, or the model that looks measures no finite number: then set its "
            "`dtype: float32`, or lower the `learning_rate` of the method's reference."
        )
    if len(picks.rows) < n:
        raise InputError(
            f"budget: {n} rows asked, but only {len(picks.rows)} of the {height} in the pool are "
            f"candidates for this method. Lower `budget` to at most {len(picks.rows)}."
        )
    selection, messages = _selection_table(picks, groups, out / "pool.parquet")
    tables.write("selection", selection, out / "selection.parquet")
    _write_training_file(selection, messages, out / "train.jsonl")
    return selection


def _selection_table(
    picks: Picks, groups: pl.DataFrame, pool: Path
) -> tuple[pl.DataFrame, pl.Series]:
    """The selection table and the messages beside it."""
    chosen = pl.DataFrame(
        {"rank": np.arange(len(picks.rows)), "row": picks.rows, "group": picks.groups}
    ).with_columns(score=pl.Series(picks.scores, dtype=pl.Float32))
    texts = pl.scan_parquet(pool).filter(pl.col("row").is_in(picks.rows.tolist())).collect()
    joined = (
        chosen.join(texts, on="row", how="left")
        .join(groups.select("group", "task"), on="group", how="left")
        .sort("rank")
    )
    columns = list(tables.SCHEMAS["selection"])
    return joined.select(columns), joined["messages"]


def _write_training_file(selection: pl.DataFrame, messages: pl.Series, path: Path) -> None:
    names = zip(selection["id"], selection["source"], messages.to_list(), strict=True)
    with files.atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row_id, source, turns in names:
            row = {"id": row_id, "source": source, "messages": turns}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def source_shares(selection: pl.DataFrame, pool: Path) -> pl.DataFrame:
    """Per source: rows and share in the pool and in the selection, the largest share first."""
    chosen = selection.group_by("source").agg(selected=pl.len())
    frame = pl.scan_parquet(pool).group_by("source").agg(pool=pl.len()).collect()
    return (
        frame.join(chosen, on="source", how="left")
        .with_columns(pl.col("selected").fill_null(0))
        .with_columns(
            pool_share=pl.col("pool") / pl.col("pool").sum(),
            selected_share=pl.col("selected") / pl.col("selected").sum(),
        )
        .sort(["selected", "pool", "source"], descending=[True, True, False])
    )


def write_plots(selection: pl.DataFrame, pool: Path, folder: Path) -> None:
    """Writes what `dvc plots` draws: shares per source, and a histogram of the scores."""
    by_source = [
        {"source": row["source"], "share": round(row[f"{of}_share"], 6), "of": of}
        for row in source_shares(selection, pool).iter_rows(named=True)
        for of in ("pool", "selected")
    ]
    files.write_json(folder / "sources.json", by_source)
    files.write_json(folder / "scores.json", histogram(selection))


def histogram(selection: pl.DataFrame, bins: int = 30) -> list[dict[str, Any]]:
    """Counts of selected rows in equal ranges of their scores, a task (or the pool) at a time."""
    edges = np.histogram_bin_edges(selection["score"].to_numpy().astype(np.float64), bins)
    answer = []
    for (task,), part in selection.group_by("task", maintain_order=True):
        counts, _ = np.histogram(part["score"].to_numpy(), edges)
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
            span = {"low": round(float(low), 6), "high": round(float(high), 6)}
            answer.append({**span, "rows": int(count), "task": task or "pool"})
    return answer


#: Scores a block: some tens of MB, however many groups there are.
SCORES = 2**22


def read_scores(path: Path) -> Iterator[Block]:
    """The score matrix of a scores table, in blocks of rows."""
    groups = tables.list_size(path, "score")
    rows = max(1_024, SCORES // groups)
    for block in prefetch(tables.iter_batches("scores", path, rows, columns=["group", "score"])):
        scores, of = block["score"].to_numpy(), block["group"]
        yield scores if of.null_count() else SingleGroup(of.to_numpy(), scores[:, 0])
