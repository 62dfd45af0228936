"""features → the score matrix: reads shards and tables, writes `scores` and `groups`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dataselect import report, shards, tables
from dataselect.matrix import Group, Pool, Queries, Rows
from dataselect.settings import function


def score(section: dict[str, Any], out: Path, features: Path) -> tuple[list[Group], int]:
    """Streams the pool through the plan's scorer into `scores.parquet` and `groups.parquet`.

    Args:
        section: the plan's `score`.
        out: the folder of the pool and of what is written.
        features: the folder of the features; empty for a method without.

    Returns:
        The groups, and the number of rows.
    """
    scorer = section["scorer"]
    of = function("scorers", scorer["name"], "plan.json")
    table = out / "pool.parquet"
    sources = pl.scan_parquet(table).select("source").unique().collect()["source"]
    height = tables.height(table)
    settings = dict(scorer["settings"])
    if "groups" in settings:
        settings["queries"] = _queries(out / "queries.parquet", features / "queries")
    with report.progress("score", height) as advance:
        pool = Pool(height, sorted(sources), _rows(table, features / "pool"))
        scores = of(pool, **settings)
        _write(scores.groups, scores.blocks, table, out, advance)
    return scores.groups, height


def _queries(table: Path, features: Path) -> Queries:
    frame = tables.read("queries", table)
    return Queries(frame["task"].to_list(), frame["id"].to_list(), shards.read_all(features))


def _rows(table: Path, features: Path) -> Iterator[Rows]:
    """Blocks of rows with their features: a shard each, or 65,536 rows where there are none."""
    if not any(features.glob("*.safetensors")):
        for block in tables.blocks("pool", table, columns=["id", "source"]):
            yield Rows(block["id"].to_list(), block["source"].to_list())
        return
    blocks = tables.blocks("pool", table, shards.ROWS, columns=["id", "source"])
    for block, arrays in zip(blocks, shards.read(features), strict=True):
        yield Rows(block["id"].to_list(), block["source"].to_list(), arrays)


def _write(
    groups: list[Group], blocks: Iterator[np.ndarray], table: Path, out: Path, advance: Any
) -> None:
    frame = pl.DataFrame(
        [(number, *group) for number, group in enumerate(groups)],
        schema=tables.SCHEMAS["groups"],
        orient="row",
    )
    tables.write("groups", frame, out / "groups.parquet")
    width = pl.Array(pl.Float32, len(groups))
    first = 0
    with tables.writing("scores", out / "scores.parquet") as put:
        for block in blocks:
            if np.isnan(block).any():
                raise ValueError(
                    f"NaN scores after row {first}: a scorer gives −∞ where it has none"
                )
            ids = _ids(table, first, len(block))
            rows = pl.int_range(first, first + len(block), eager=True)
            put(pl.DataFrame({"row": rows, "id": ids, "score": pl.Series(block, dtype=width)}))
            first += len(block)
            advance(len(block))


def _ids(table: Path, first: int, count: int) -> pl.Series:
    return pl.scan_parquet(table).select("id").slice(first, count).collect()["id"]
