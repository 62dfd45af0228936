"""The score stage: features → the score matrix, in `scores.parquet` and `groups.parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from dataselect import report
from dataselect.compute import Engine, Work
from dataselect.compute.prefetch import prefetch
from dataselect.compute.threads import threads
from dataselect.data import shards, tables
from dataselect.data.numbers import check_numbers, read_numbers
from dataselect.data.scores import (
    Block,
    Group,
    Pool,
    PoolInfo,
    Queries,
    Rows,
    SingleGroup,
    finite_rows,
    row_count,
)
from dataselect.errors import InputError, first_few
from dataselect.report import Progress
from dataselect.score import PoolScorer, Prepared, RowScorer, Scorer
from dataselect.score._memory import check_memory
from dataselect.settings import Part, load_part


@dataclass(frozen=True)
class ScoreSection:
    """The plan's section `score`.

    Attributes:
        scorer: the scorer and its settings.
        code: the hash of the code that decides the scores.
    """

    scorer: Part
    code: str


@dataclass(frozen=True)
class Scored:
    """What the stage did.

    Attributes:
        groups: the columns of S.
        rows: the number of rows.
        unusable: the ids of the rows with a NaN or infinite number in the scorer's inputs.
    """

    groups: list[Group]
    rows: int
    unusable: list[str]


def score(section: ScoreSection, out: Path, features: Path, engine: Engine | None = None) -> Scored:
    """Streams the pool through the plan's scorer into `scores.parquet` and `groups.parquet`.

    A row with a NaN or an infinite number in the scorer's inputs is no candidate.

    Args:
        out: the folder of the tables: pool and queries, and what is written.
        features: the folder of the features; empty for a method without.
        engine: where a `RowScorer` runs; on one machine, or where it is None: in threads. A
            `PoolScorer` always runs in this process.

    Raises:
        InputError: a NaN or infinite number in a query's inputs; no numbers in a column; or too
            little memory for a `PoolScorer`.
    """
    scorer: Scorer = load_part("score", section.scorer)
    info = _pool_info(out / "pool.parquet")
    check_numbers(out / "pool.parquet", scorer.columns)
    if isinstance(scorer, PoolScorer):
        check_memory(section.scorer.name, scorer, features / "pool", info.row_count)
    jobs = _jobs(out / "pool.parquet", features / "pool", scorer.columns)
    with report.progress("score", info.row_count) as progress:
        if isinstance(scorer, PoolScorer):
            groups, blocks = _score_pool(scorer, jobs, info, progress)
            scored = _write(groups, blocks, out)
        else:
            prepared = _prepare(scorer, out, features, info)
            if engine is None or engine.one_machine:  # numpy's work: no GPU helps it
                workers = threads(lambda: partial(_score_job, prepared, scorer.inputs))
            else:
                where = out.resolve(), features.resolve(), info
                workers = engine.open(partial(_start_worker, section.scorer, *where))
            with workers as run:
                scored = _write(prepared.groups, run(jobs, progress), out)
    if scored.rows != info.row_count:
        raise ValueError(f"{section.scorer.name}: {scored.rows} rows of {info.row_count}")
    return scored


def _pool_info(table: Path) -> PoolInfo:
    sources = pl.scan_parquet(table, glob=False).select("source").unique().collect()["source"]
    return PoolInfo(tables.row_count(table), sorted(sources))


class Job(NamedTuple):
    """A block of the pool to be scored: its feature shard, and its rows' values in the pool."""

    shard: Path | None
    ids: list[str]
    sources: list[str]
    columns: dict[str, np.ndarray]

    def read(self, inputs: tuple[str, ...]) -> Rows:
        """Its rows with the arrays of these names."""
        arrays = shards.read_arrays(self.shard, inputs) if self.shard else {}
        return Rows(self.ids, self.sources, arrays, self.columns)


class ScoredBlock(NamedTuple):
    """The scores of consecutive rows, their ids, and which of them are usable (bool, b)."""

    ids: list[str]
    usable: np.ndarray
    scores: Block

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.ids)


def _jobs(table: Path, features: Path, columns: tuple[str, ...]) -> Iterator[Job]:
    """A job per shard; where there are no features, one for every 65,536 rows."""
    paths = shards.shard_paths(features)
    frames = tables.iter_batches("pool", table, columns=["id", "source", *columns])
    if paths:
        frames = tables.rebatch(frames, map(shards.row_count, paths))
    found = map(shards.read_ahead, paths) if paths else repeat(None)
    for path, rows in zip(found, frames, strict=bool(paths)):
        ids, sources = rows["id"].to_list(), rows["source"].to_list()
        yield Job(path, ids, sources, read_numbers(rows, columns))


def _prepare(scorer: RowScorer, out: Path, features: Path, info: PoolInfo) -> Prepared:
    if not scorer.uses_queries:
        return scorer.prepare(info, None)
    table = tables.read("queries", out / "queries.parquet")
    queries = to_queries(table, shards.read_all(features / "queries"))
    if len(wrong := np.flatnonzero(~finite_rows(queries.features, scorer.inputs))):
        names = first_few(queries.id[i] for i in wrong)
        raise InputError(
            f"queries.path: {len(wrong)} queries have NaN or infinite features: {names}. "
            "Add their answers, remove them, or set the model's `dtype: float32` if it overflows."
        )
    return scorer.prepare(info, queries)


def to_queries(table: pl.DataFrame, features: dict[str, np.ndarray]) -> Queries:
    """The queries of a table (m), with their features (m …)."""
    task, name, subtask = (table[column].to_list() for column in ("task", "id", "subtask"))
    return Queries(task, name, features, subtask)


def _start_worker(part: Part, out: Path, features: Path, info: PoolInfo) -> Work:
    """A worker in another process, which reads the queries for itself.

    Its products keep to one thread, as in this process: another number gives other last bits.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    scorer: RowScorer = load_part("score", part)
    return partial(_score_job, _prepare(scorer, out, features, info), scorer.inputs)


def _score_job(
    prepared: Prepared, inputs: tuple[str, ...], job: Job, progress: Progress
) -> ScoredBlock:
    rows = job.read(inputs)
    block = ScoredBlock(rows.id, _usable(rows, inputs), prepared.score(rows))
    progress(block.rows)
    return block


def _score_pool(
    scorer: PoolScorer, jobs: Iterable[Job], info: PoolInfo, progress: Progress
) -> tuple[list[Group], Iterator[ScoredBlock]]:
    """The groups, and the blocks of any size, of a scorer that sees the pool as a whole."""
    ids, usable = list[str](), np.zeros(info.row_count, dtype=bool)

    def rows() -> Iterator[Rows]:
        for block in prefetch(job.read(scorer.inputs) for job in jobs):
            usable[len(ids) : len(ids) + len(block.id)] = _usable(block, scorer.inputs)
            ids.extend(block.id)
            yield block

    groups, blocks = scorer.score(Pool(info, rows()))

    def scored() -> Iterator[ScoredBlock]:
        first = 0
        for block in blocks:
            last = first + row_count(block)
            yield ScoredBlock(ids[first:last], usable[first:last], block)
            progress(last - first)
            first = last

    return groups, scored()


def _usable(rows: Rows, inputs: tuple[str, ...]) -> np.ndarray:
    """Which rows (bool, b) have only finite numbers in the inputs."""
    return finite_rows(rows.features, inputs) if inputs else np.ones(len(rows.id), dtype=bool)


def _write(groups: list[Group], blocks: Iterable[ScoredBlock], out: Path) -> Scored:
    numbered = [(number, *group) for number, group in enumerate(groups)]
    table = pl.DataFrame(numbered, schema=tables.schema("groups"), orient="row")
    tables.write("groups", table, out / "groups.parquet")
    first, unusable = 0, list[str]()
    with tables.open_writer("scores", out / "scores.parquet") as put:
        for block in blocks:
            put(_frame(block, first))
            unusable += [block.ids[i] for i in np.flatnonzero(~block.usable)]
            first += block.rows
    return Scored(groups, first, unusable)


def _frame(block: ScoredBlock, first: int) -> pl.DataFrame:
    """A part of the scores table, from row number `first` on."""
    if isinstance(block.scores, SingleGroup):
        groups, scores = block.scores.group.tolist(), block.scores.score[:, None]
    else:
        groups, scores = [None] * block.rows, block.scores
    if len(scores) != block.rows:
        raise ValueError(f"{len(scores)} scores for {block.rows} rows after row {first}")
    scores = np.where(block.usable[:, None], scores, -np.inf).astype(np.float32)
    if np.isnan(scores).any():
        raise ValueError(f"NaN scores after row {first}: a scorer gives −∞ where it has none")
    return pl.DataFrame({
        "row": pl.int_range(first, first + block.rows, eager=True),
        "id": block.ids,
        "group": pl.Series(groups, dtype=pl.Int64),
        "score": pl.Series(scores, dtype=pl.Array(pl.Float32, scores.shape[1])),
    })  # fmt: skip
