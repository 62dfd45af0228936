"""What is in the pool: rows and tokens of each source, lengths, turns, languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dataselect.data import tables
from dataselect.dedup.languages import load_detector
from dataselect.dedup.token_counter import TokenCounter, load_token_counter
from dataselect.models.settings import TokenizerSettings
from dataselect.numerics.draws import random_scores

#: Rows that are measured; of a larger pool, a random sample of so many.
MEASURED_ROWS = 20_000

#: Rows that are read, and measured, at a time.
ROWS_PER_BLOCK = 4_096


@dataclass(frozen=True)
class SourceCount:
    """A source of the pool.

    Attributes:
        source: its name.
        rows: its rows.
        tokens: of its rows' contents; None where they are not counted, or none was measured.
    """

    source: str
    rows: int
    tokens: int | None


@dataclass(frozen=True)
class PoolStatistics:
    """What is in a pool.

    Attributes:
        rows: all rows.
        measured: the rows that lengths, turns and languages are of: all, or a random sample.
        sources: every source, the largest first.
        tokens: of all rows' contents; None where they are not counted. With fewer rows measured
            than there are, this and the sources' are estimates: the mean times the rows.
        lengths: of every measured row's contents, in ascending order: tokens, or characters where
            tokens are not counted (int64).
        turns: number of turns (without the system's) → measured rows, in ascending order.
        languages: code of a language → measured rows, the most first; None where not asked for.
    """

    rows: int
    measured: int
    sources: list[SourceCount]
    tokens: int | None
    lengths: np.ndarray
    turns: dict[int, int]
    languages: dict[str, int] | None

    @property
    def is_estimate(self) -> bool:
        """Whether only a sample was measured."""
        return self.measured < self.rows


def measure_pool(
    pool: Path, model: TokenizerSettings, *, languages: bool, limit: int = MEASURED_ROWS
) -> PoolStatistics:
    """Counts what is in a pool, in memory that does not grow with it but for 12 bytes a row.

    Args:
        pool: the pool's table.
        model: whose tokenizer counts.
        languages: whether each measured row's language is looked for.
        limit: rows that are measured; of a larger pool a sample, drawn by their ids.
    """
    is_measured, counts = _sample(pool, limit)
    counter = load_token_counter(model)
    detect = load_detector() if languages else None
    turns, found = Counter[int](), Counter[str]()
    sources, lengths = list[str](), list[int]()
    for block in _measured_rows(pool, is_measured):
        sources += block["source"].to_list()
        conversations = block["messages"].to_list()
        lengths += _lengths(conversations, counter)
        for row in conversations:
            turns[sum(turn["role"] != "system" for turn in row)] += 1
            if detect is not None:
                found[detect("\n".join(turn["content"] for turn in row))] += 1
    measured = pl.DataFrame({"source": sources, "length": pl.Series(lengths, dtype=pl.Int64)})
    mean = measured["length"].mean()
    return PoolStatistics(
        rows=counts.total(),
        measured=measured.height,
        sources=_by_source(counts, measured if counter else measured.clear()),
        tokens=round(counts.total() * mean) if counter else None,  # ty: ignore[unsupported-operator]
        lengths=np.sort(np.asarray(lengths)),
        turns=dict(sorted(turns.items())),
        languages=_largest_first(found) if languages else None,
    )


def _sample(pool: Path, limit: int) -> tuple[np.ndarray, Counter[str]]:
    """Which rows are measured (bool, n), and how many rows each source has."""
    counts = Counter[str]()
    draws = [np.zeros(0, dtype=np.float32)]
    is_sampled = tables.row_count(pool) > limit
    for block in tables.iter_batches("pool", pool, columns=["id", "source"]):
        counts.update(block["source"].to_list())
        if is_sampled:
            draws.append(random_scores(block["id"], 0, "statistics"))
    is_measured = np.ones(counts.total(), dtype=bool)
    if is_sampled:
        order = np.argsort(-np.concatenate(draws), kind="stable")
        is_measured[order[limit:]] = False
    return is_measured, counts


def _measured_rows(pool: Path, is_measured: np.ndarray) -> Iterator[pl.DataFrame]:
    first = 0
    columns = ["source", "messages"]
    for block in tables.iter_batches("pool", pool, ROWS_PER_BLOCK, columns):
        rows = is_measured[first : first + block.height]
        first += block.height
        if rows.any():
            yield block.filter(pl.Series(rows))


def _lengths(conversations: list[list[dict[str, Any]]], counter: TokenCounter | None) -> list[int]:
    """The tokens of each conversation's contents, or their characters without a counter."""
    texts = [turn["content"] for row in conversations for turn in row]
    numbers = iter(counter(texts) if counter else map(len, texts))
    return [sum(next(numbers) for _ in row) for row in conversations]


def _by_source(counts: Counter[str], measured: pl.DataFrame) -> list[SourceCount]:
    """Every source with its tokens: the mean of its measured rows, times all of its rows."""
    means = dict(measured.group_by("source").agg(pl.col("length").mean()).iter_rows())
    return [
        SourceCount(name, rows, round(means[name] * rows) if name in means else None)
        for name, rows in _largest_first(counts).items()
    ]


def _largest_first(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
