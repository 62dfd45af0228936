"""The rows of the browser: which there are, their columns, and the same as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dataselect.ask.run_files import RunFiles
from dataselect.ask.standing import Chosen
from dataselect.data import tables
from dataselect.html_report.best_queries import BestQueries, Query, best_queries, read_queries
from dataselect.html_report.places import Places, no_places, row_places
from dataselect.html_report.projection import Map, draw_map, feature_name
from dataselect.html_report.texts import Excerpt, excerpts
from dataselect.html_report.umap_map import reduce_by_umap
from dataselect.numerics.draws import random_scores

#: A coordinate of a row that has no place on the map; others are from 0 to one less.
NOWHERE = 2**16 - 1


@dataclass(frozen=True)
class Browser:
    """What the page shows of one run's rows.

    Attributes:
        run: its outputs.
        kept: the rows that are shown, in rising order: int64, k.
        total: the rows of the pool.
        sources: their names.
        source: of every row of the pool, the source's number: int32, n.
        number: of every row, its place among the chosen, from 1; 0 where it was not: int32, n.
        places, best, queries, map: see there; `map` is None without features to draw.
        lacks: sentences on what the run does not have.
    """

    run: RunFiles
    kept: np.ndarray
    total: int
    sources: list[str]
    source: np.ndarray
    number: np.ndarray
    places: Places
    best: BestQueries
    queries: list[Query]
    map: Map | None
    lacks: list[str]


def browse(run: RunFiles, most_rows: int, kind: str) -> Browser:
    """Collects everything about a run's rows but their texts.

    Args:
        most_rows: of a larger pool, all chosen rows and near misses are kept, and a random sample
            of the others.
        kind: of the map: `pca` or `umap`.
    """
    total = tables.row_count(run.path("pool"))
    sources, source = _sources(run, total)
    picks = run.selection.sort("row")
    number = np.zeros(total, np.int32)
    number[picks["row"].to_numpy()] = picks["rank"].to_numpy() + 1
    scored = run.has("scores") and run.has("groups")
    places = no_places(total, len(run.groups))
    if scored and total:
        chosen = Chosen(picks["row"].to_numpy(), picks["group"].to_numpy())
        places = row_places(run.path("scores"), total, len(run.groups), chosen)
    queries = read_queries(run)
    best = best_queries(run, queries, places.group, places.score)
    feature = feature_name(run.folder / "features")
    drawn = None
    if feature is not None:
        reduce = reduce_by_umap if kind == "umap" else None
        drawn = draw_map(run.folder / "features", feature, reduce)
    kept = _kept(run, total, number, places, most_rows)
    lacks = _lacks(run, scored, drawn)
    parts = (sources, source, number, places, best, queries, drawn, lacks)
    return Browser(run, kept, total, *parts)


def _lacks(run: RunFiles, scored: bool, drawn: Map | None) -> list[str]:
    lacks = []
    if not run.selection.height:
        lacks.append("No row was chosen: the selection is empty.")
    if not scored:
        lacks.append("The run has no scores here: groups, ranks and near misses are not known.")
    if drawn is None:
        lacks.append(
            "There is no map: the run has stored no features with two numbers a row or more. "
            "Methods such as random or those that rank by one number have none to draw."
        )
    return lacks


def _sources(run: RunFiles, total: int) -> tuple[list[str], np.ndarray]:
    names: dict[str, int] = {}
    codes = np.empty(total, np.int32)
    first = 0
    for batch in tables.iter_batches("pool", run.path("pool"), columns=["source"]):
        found = [names.setdefault(name, len(names)) for name in batch["source"]]
        codes[first : first + batch.height] = found
        first += batch.height
    return list(names), codes


def _kept(
    run: RunFiles, total: int, number: np.ndarray, places: Places, most_rows: int
) -> np.ndarray:
    if total <= most_rows:
        return np.arange(total)
    draws = [
        random_scores(batch["id"], 0, "rows of the report")
        for batch in tables.iter_batches("pool", run.path("pool"), columns=["id"])
    ]
    priority = np.concatenate(draws)  # below 0
    priority[number > 0] = 1
    priority[[miss.row for misses in places.near for miss in misses]] = 1
    wanted = max(most_rows, int(np.count_nonzero(priority == 1)))
    return np.sort(np.argsort(-priority, kind="stable")[:wanted])


def columns(browser: Browser, characters: list[int]) -> dict[str, np.ndarray]:
    """The kept rows' numbers as the page reads them: int32, float32 and uint16, k each.

    Args:
        characters: of all turns of every kept row.
    """
    kept = browser.kept
    found = {
        "row": kept.astype(np.int32),
        "source": browser.source[kept],
        "number": browser.number[kept],
        "group": browser.places.group[kept],
        "score": browser.places.score[kept],
        "rank": browser.places.rank[kept],
        "query": browser.best.query[kept],
        "query_score": browser.best.score[kept],
        "characters": np.asarray(characters, np.int32),
    }
    if browser.map is not None:
        low, high = extent(browser.map)
        with np.errstate(invalid="ignore"):
            share = (browser.map.rows[kept] - low) / (high - low)
            steps = np.where(np.isfinite(share), np.rint(share * (NOWHERE - 1)), NOWHERE)
        found["x"], found["y"] = steps.astype(np.uint16).T.copy()
    return found


def extent(drawn: Map) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest coordinates of rows and queries: float64, 2 each."""
    points = drawn.rows if drawn.queries is None else np.concatenate([drawn.rows, drawn.queries])
    points = points[np.isfinite(points).all(axis=1)].astype(np.float64)
    if not len(points):
        return np.zeros(2), np.ones(2)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, (high - low) * 0.02, 0.5)
    return low - margin, high + margin


def read_excerpts(browser: Browser, limit: int) -> Iterator[Excerpt]:
    """The kept rows' excerpts, in their order."""
    wanted = np.zeros(browser.total, bool)
    wanted[browser.kept] = True
    path, needed, first = browser.run.path("pool"), ["row", "id", "messages"], 0
    for batch in tables.iter_batches("pool", path, 4_096, needed):
        mask = pl.Series(wanted[first : first + batch.height])
        yield from excerpts(batch.filter(mask), limit)
        first += batch.height


def table_part(browser: Browser, first: int, texts: list[Excerpt]) -> pl.DataFrame:
    """The kept rows from place `first` on, as report.parquet has them."""
    kept = browser.kept[first : first + len(texts)]
    drawn = browser.map.rows[kept] if browser.map else np.full((len(kept), 2), np.nan, np.float32)
    groups = browser.run.groups
    group, query = browser.places.group[kept].tolist(), browser.best.query[kept].tolist()
    named: list[Any] = [groups[g] if g >= 0 else None for g in group]
    numbers = {"number": browser.number[kept], "rank_in_group": browser.places.rank[kept]}
    return pl.DataFrame(
        {
            "row": kept,
            "id": [row.id for row in texts],
            "source": [browser.sources[code] for code in browser.source[kept].tolist()],
            "text": ["\n\n".join((row.prompt, row.response)) for row in texts],
            "x": drawn[:, 0],
            "y": drawn[:, 1],
            **{name: pl.Series(values).replace(0, None) for name, values in numbers.items()},
            "group": [g.name if g else None for g in named],
            "task": [g.task if g else None for g in named],
            "score": browser.places.score[kept],
            "query": [browser.queries[q].id if q >= 0 else None for q in query],
            "query_score": browser.best.score[kept],
        },
        schema_overrides={"group": pl.String, "task": pl.String, "query": pl.String},
    ).with_columns(pl.col("x", "y", "score", "query_score").fill_nan(None))


def write_table(path: Path, parts: Iterable[pl.DataFrame]) -> None:
    """Writes the parts of a table into one file, as they come."""
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None
    try:
        for part in parts:
            block = part.to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                writer = pq.ParquetWriter(path, block.schema, compression="zstd")
            writer.write_table(block)
    finally:
        if writer is not None:
            writer.close()
